"""Synthetic samples whose free energies are known functions of their features."""

from __future__ import annotations

import numpy as np

from nnpmm.core.arrays import save_arrays
from nnpmm.core.files import write_atomically
from nnpmm.permeation.dataset.folder import DatasetSettings, SoluteJob, open_dataset
from nnpmm.permeation.dataset.training_data import TrainingData
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini.solute_sets import list_solutes
from nnpmm.permeation.runs.protocol import preset


def response_samples(solutes, frames=20, seed=1, noise=1.0):
    """Samples whose dG per bead is linear in both interaction energies; other features are noise.

    Surface and interaction per bead decrease with the number of beads, as for real chains.
    """
    rng = np.random.default_rng(seed)
    solutes = tuple(solutes)
    beads = np.array([graph.count("-") + 1 for graph in solutes])
    shielding = (1.0 + 1.6 / beads) / 1.8  # 1 for dimers
    water = -shielding * rng.uniform(15.0, 40.0, len(solutes))
    lipid = -shielding * rng.uniform(20.0, 35.0, len(solutes))
    means = np.zeros((len(solutes), len(FEATURE_NAMES)))
    means[:, FEATURE_NAMES.index("lj-mol-wat")] = water
    means[:, FEATURE_NAMES.index("lj-mol-lip")] = lipid
    means[:, FEATURE_NAMES.index("sasa")] = 2.5 * shielding
    size = np.array([2.0, 3.0, 80.0, 0.08, 3.0, 0.015, 0.2, 0.2])  # of the noise of the frames
    features = means[:, None] + noise * size * rng.normal(size=(len(solutes), frames, 8))
    labels = beads * (0.17 * lipid - 0.2 * water - 0.4)
    return TrainingData(
        ("DOPC",) * len(solutes),
        solutes,
        features.astype(np.float32),
        labels,
        np.full(len(solutes), 0.05),
        FEATURE_NAMES,
    )


def write_data_set(folder, data, labelled=slice(None)):
    """Write samples as a data set, with labels of some of them."""
    frames = data.features.shape[1]
    protocol = preset("short", production=f"{frames * 60} ps", frame_interval="60 ps")
    wanted = DatasetSettings(
        protocol=protocol, engine="gromacs", lipids=["DOPC"], solutes=data.solutes
    )
    open_dataset(folder, wanted)
    for solute, table in zip(data.solutes, data.features, strict=True):
        for place, part in (("water", table[:, :4]), ("DOPC", table[:, 4:])):
            save_arrays(SoluteJob(place, solute).result(folder), {"features": part}, {})
    rows = zip(data.solutes, data.labels, data.label_errors, strict=True)
    lines = [f"{solute},{label:.4f},{error:.4f},1.0" for solute, label, error in rows]
    text = "\n".join(["solute,dg_kcal,error_kcal,effective_samples", *lines[labelled], ""])
    write_atomically(folder / "labels" / "DOPC.csv", text)


def dimers(count):
    """The first dimers of the list."""
    return list_solutes("dimers")[:count]
