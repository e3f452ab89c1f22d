"""What a run reports before its first step: log messages at INFO level.

Nothing is printed here. ``nnpmm run`` shows the messages on stdout; a script sees them with
``logging.basicConfig(level=logging.INFO)``.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import ArrayLike
from openmm import app

from nnpmm.integrators import TimestepLimit
from nnpmm.models.protocol import Potential
from nnpmm.simulation.settings.config import ProtocolConfig, RunConfig, StagesConfig
from nnpmm.structures.formula import hill_formula
from nnpmm.structures.inputs.sources import (
    AmberSystem,
    AmoebaSystem,
    CharmmSystem,
    GromacsSystem,
    OpenmmSystem,
    SystemSource,
    TinkerSystem,
)
from nnpmm.structures.mm_system import MMSystem

__all__ = [
    "LOGGER",
    "describe_stages",
    "describe_system_source",
    "fact",
    "tell_model",
    "tell_platform",
    "tell_region",
    "tell_settings",
    "tell_system",
    "tell_time_step",
    "working",
]

LOGGER = logging.getLogger(__name__)
_MOST_RESIDUES = 4


def working(what: str) -> None:
    """Report a step that may take more than a moment."""
    LOGGER.info("%s ...", what)


def fact(name: str, value: str) -> None:
    """Report a fact about the run."""
    LOGGER.info("%-11s %s", name, value)


def tell_settings(settings: RunConfig, path: Path | None) -> None:
    """Report what follows from the settings alone: stages and folder."""
    if path is not None:
        fact("settings", str(path))
    fact("stages", describe_stages(settings))
    fact("results", f"{settings.output.directory}")


def describe_stages(settings: ProtocolConfig) -> str:
    """Return the stages with their lengths and conditions in one line."""
    stages: StagesConfig = settings.stages
    ensemble = settings.ensemble
    parts = []
    if stages.minimize is not None:
        parts.append(f"minimize up to {stages.minimize.max_iterations} iterations")
    if stages.warmup is not None:
        parts.append(f"warmup {_time(stages.warmup.length)}")
    for name in ("equilibrate", "production"):
        stage = getattr(stages, name)
        if stage is not None:
            parts.append(f"{name} {_time(stage.length)}")
    pressure = f", {ensemble.pressure:g} bar" if ensemble.type == "NPT" else ""
    return f"{', '.join(parts)} ({ensemble.type}, {ensemble.temperature:g} K{pressure})"


def _time(ps: float) -> str:
    return f"{ps / 1000:g} ns" if ps >= 1000 else f"{ps:g} ps"


def describe_system_source(source: SystemSource) -> str:
    """Return how the MM system is obtained, for a message."""
    if isinstance(source, AmberSystem | GromacsSystem):
        return f"reading {source.topology.name} and {source.coordinates.name}"
    if isinstance(source, CharmmSystem):
        return f"reading {source.psf.name} and {source.coordinates.name}"
    if isinstance(source, TinkerSystem):
        names = [source.xyz, *source.parameters, *([] if source.key is None else [source.key])]
        return f"reading {', '.join(path.name for path in names)}"
    if isinstance(source, AmoebaSystem):
        names = [source.structure, *source.parameters]
        return f"reading {', '.join(path.name for path in names)} with {source.force_field}"
    if isinstance(source, OpenmmSystem):
        return f"reading {source.system.name} and {source.structure.name}"
    ligand = source.smiles if source.ligand is None else source.ligand.name
    protein = "" if source.protein is None else f" and {source.protein.name}"
    return f"building {ligand}{protein} in water"


def tell_system(mm: MMSystem) -> None:
    """Report the size of the MM system, and the source of a built ligand's parameters."""
    box = "no periodic box"
    if mm.box_vectors is not None:
        edges = np.linalg.norm(mm.box_vectors, axis=1)
        box = f"periodic box with edges of {', '.join(f'{edge:.2f}' for edge in edges)} nm"
    fact("system", f"{mm.topology.getNumAtoms()} atoms, {box}")
    if mm.ligand_parameters is not None:
        fact("parameters", mm.ligand_parameters)


def tell_region(topology: app.Topology, region: ArrayLike) -> None:
    """Report the region that the network describes."""
    chosen = set(np.asarray(region).tolist())
    atoms = [atom for atom in topology.atoms() if atom.index in chosen]
    formula = hill_formula("?" if a.element is None else a.element.symbol for a in atoms)
    residues = list(dict.fromkeys(f"{atom.residue.name} {atom.residue.id}" for atom in atoms))
    more = f" and {len(residues) - _MOST_RESIDUES} more" if len(residues) > _MOST_RESIDUES else ""
    names = ", ".join(residues[:_MOST_RESIDUES]) + more
    fact("region", f"{formula}, {len(atoms)} atoms, residue {names}")


def tell_model(model: Potential) -> None:
    """Report the network, the source of its weights, and its backend."""
    known = model.provenance
    members = known.get("members")
    count = "" if members is None else f", {len(members)} network{'s' * (len(members) != 1)}"
    where = ", ".join(
        f"{key} {known[key]}" for key in ("backend", "device", "precision") if key in known
    )
    fact("model", f"{model.name}{count}; {where}")
    if "weights" in known:
        fact("weights", str(known["weights"]))


def tell_time_step(settings: ProtocolConfig, limit: TimestepLimit, mass_factor: float) -> None:
    """Report the time step, its limit with the cause, and increased masses."""
    integrator = settings.integrator
    if integrator.inner is not None and integrator.outer is not None:
        steps = f"{integrator.inner * 1000:g} fs inner, {integrator.outer * 1000:g} fs outer"
    else:
        steps = f"{settings.timestep * 1000:g} fs"
    fact("time step", f"{steps}; limit {limit.longest * 1000:.2g} fs ({limit.reason})")
    if mass_factor > 1:
        fact("masses", f"of the region multiplied by {mass_factor:g}; averages stay the same")


def tell_platform(platform: openmm.Platform, properties: dict[str, str]) -> None:
    """Report the platform of OpenMM."""
    details = "".join(f", {key.lower()} {value}" for key, value in properties.items())
    fact("platform", f"{platform.getName()}{details}")
