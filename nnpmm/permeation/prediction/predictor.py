"""Simulate molecules with the protocol of a model's training data, and predict their dG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.campaigns import ClusterSettings, ProgressCallback, ReportCallback
from nnpmm.core.errors import ConfigError
from nnpmm.permeation.dataset.folder import WATER, DatasetSettings, SoluteJob, load_features
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini import lipid as known_lipid
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.networks.regressor import Regressor
from nnpmm.permeation.prediction.applicability import Verdict, check_features, check_solute
from nnpmm.permeation.prediction.molecules import Molecule
from nnpmm.permeation.runs.campaign import build_dataset
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = ["Prediction", "model_protocol", "predict_features", "predict_molecules"]


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for a molecule in a lipid.

    Attributes:
        molecule: with its beads.
        lipid: of the bilayer.
        free_energy: dG = G(midplane) - G(water), kcal/mol; None if refused.
        model_error: one standard deviation, kcal/mol, of the network and of its finite
            trajectories; None where the free energy is None.
        verdict: on the model's applicability.
        features: (frames, 8), or None if nothing was simulated.
        failed: whether a required run failed or did not finish.
    """

    molecule: Molecule
    lipid: str
    free_energy: float | None
    model_error: float | None
    verdict: Verdict
    features: NDArray[np.float32] | None
    failed: bool = False

    @property
    def error(self) -> float | None:
        """One standard deviation, kcal/mol: (model_error^2 + molecule.mapping_error^2)^(1/2)."""
        if self.model_error is None:
            return None
        return math.hypot(self.model_error, self.molecule.mapping_error)


def model_protocol(model: Regressor) -> ProtocolSettings:
    """Return the protocol of the simulations that a model was trained on.

    Raises:
        ConfigError: the model does not say.
    """
    protocol = model.card.data.protocol
    if protocol is None:
        raise ConfigError(
            "the model does not say how its training data were simulated: train it again with "
            "nnpmm permeation train"
        )
    return protocol


def predict_molecules(
    molecules: Sequence[Molecule],
    lipid: str,
    model: Regressor,
    folder: Path,
    *,
    engine: str = "auto",
    seed: int = 1,
    cluster: ClusterSettings | None = None,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    relaxation: ProgressCallback | None = None,
) -> list[Prediction]:
    """Run the missing simulations in water and in a membrane, and predict dG of each molecule.

    Args:
        molecules: to predict; those outside the applicability domain are not simulated.
        lipid: of the bilayer.
        model: trained network.
        folder: of a data set of this lipid, which stores the features; an interrupted prediction
            continues there.
        engine: ``auto``, ``gromacs`` or ``openmm``.
        seed: master seed, from which the seeds of all runs are derived.
        cluster: where runs go; one local worker if None.
        scratch: for trajectories, which are deleted; inside ``folder`` if None.
        retry_failed: repeat failed runs.
        report: called for every run that ends.
        relaxation: called with the progress of the bilayer's relaxation, if it needs one.

    Raises:
        ForceFieldError: an unknown lipid.
        ConfigError: the model does not say how to simulate, or the folder has another data set.
    """
    wanted, tables = _plan(molecules, lipid, model, engine, seed), {}
    if wanted is not None:
        build_dataset(
            *(wanted, folder),
            cluster=cluster,
            scratch=scratch,
            retry_failed=retry_failed,
            report=report,
            relaxation=relaxation,
        )
        tables = _features(folder, lipid)
    found = []
    for molecule in molecules:
        verdict = check_solute(model.card, molecule.graph, lipid)
        failed = not verdict.refusals and molecule.graph not in tables
        if failed:
            verdict += Verdict(refusals=(_why_missing(folder, lipid, molecule.graph),))
        features = None if verdict.refusals else tables[molecule.graph]
        prediction = predict_features(molecule, lipid, model, features, verdict)
        found.append(replace(prediction, failed=failed))
    return found


def _plan(
    molecules: Sequence[Molecule], lipid: str, model: Regressor, engine: str, seed: int
) -> DatasetSettings | None:
    """Return the data set to simulate; None if the model is applicable to none of the molecules."""
    known_lipid(lipid)
    protocol = model_protocol(model)
    graphs = dict.fromkeys(molecule.graph for molecule in molecules)
    fit = [g for g in graphs if not check_solute(model.card, g, lipid).refusals]
    if not fit:
        return None
    return DatasetSettings(
        protocol=protocol, engine=engine, seed=seed, lipids=(lipid,), solutes=tuple(fit)
    )


def predict_features(
    molecule: Molecule,
    lipid: str,
    model: Regressor,
    features: NDArray[np.float32] | None,
    verdict: Verdict,
) -> Prediction:
    """Return the prediction from features, (frames, 8), unless the verdict refuses it.

    Args:
        molecule: with its beads.
        lipid: of the bilayer.
        model: trained network.
        features: of the two runs side by side, or None where there are none.
        verdict: on the solute.

    Raises:
        ConfigError: the model was trained on other features.
    """
    if features is None:
        return Prediction(molecule, lipid, None, None, verdict, None)
    beads = np.array([len(parse_solute(molecule.graph).beads)])
    energies, errors = model.predict_with_error(features[None], FEATURE_NAMES, beads=beads)
    verdict += check_features(model.card, features)
    if verdict.refusals:
        return Prediction(molecule, lipid, None, None, verdict, features)
    return Prediction(molecule, lipid, float(energies[0]), float(errors[0]), verdict, features)


def _features(folder: Path, lipid: str) -> dict[str, NDArray[np.float32]]:
    found = load_features(folder)
    samples = zip(found.lipids, found.solutes, found.features, strict=True)
    return {solute: table for name, solute, table in samples if name == lipid}


def _why_missing(folder: Path, lipid: str, solute: str) -> str:
    """Return the last reason why one of the two runs of a solute failed."""
    for job in (SoluteJob(WATER, solute), SoluteJob(lipid, solute)):
        if not job.result(folder).exists() and job.failure(folder).exists():
            return f"the run {job.name} failed: {job.reason(folder)}; try again with retry_failed"
    return "its runs did not end; repeat the call to continue"
