"""Observe replicas, cache the observations, and average over the replicas."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from rdkit import Chem

from nnpmm._version import __version__
from nnpmm.analysis.observations import FORMAT, Observations
from nnpmm.analysis.observing import Progress, Settings, observe
from nnpmm.analysis.quantities import Analysis, find_quantities, pooled_rotamers
from nnpmm.analysis.sources import Source
from nnpmm.core.errors import ConfigError, InputFileError

__all__ = ["analyze", "gather"]

_BLOCK = 1 << 22  # bytes, of a read


def analyze(
    sources: Source | Sequence[Source],
    *,
    selection: str | None = None,
    water_around: str | None = None,
    name: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Observe trajectories of one system, and average over time and replicas.

    Args:
        sources: one trajectory or several replicas.
        selection: the ligand in mdtraj's language; ``"none"``: there is none; None: the only
            residue that may be one.
        water_around: group whose first shell of water is counted; None: the ligand.
        name: of the system; that of the first trajectory if left out.
        cache: folder that stores observations under a checksum of files and settings, so that a
            trajectory is read only once; None stores nothing.
        progress: called with the name of a trajectory, the number of frames done, and their total.

    Raises:
        ConfigError: there are no trajectories.
        InputFileError: a file cannot be read, or topology and trajectory do not belong together.
        SelectionError: the ligand or the group cannot be found.
        UnwritableError: the cache cannot be written.
    """
    sources = [sources] if isinstance(sources, Source) else list(sources)
    settings = Settings(selection, water_around)
    found = [_observe(source, settings, cache, progress) for source in sources]
    return gather(found, name=name)


def gather(replicas: Sequence[Observations], *, name: str | None = None) -> Analysis:
    """Return the averages of replicas that were observed before.

    Args:
        replicas: observations of one system.
        name: of the system; that of the first replica if left out.

    Raises:
        ConfigError: there are no replicas.
    """
    if not replicas:
        raise ConfigError("found no trajectory to analyse; give one or more")
    rotamers = pooled_rotamers(replicas)
    return Analysis(
        name or replicas[0].name, tuple(replicas), rotamers, find_quantities(replicas, rotamers)
    )


def _observe(
    source: Source, settings: Settings, cache: Path | None, progress: Progress | None
) -> Observations:
    if cache is None:
        return observe(source, settings, progress=progress)
    path = cache / f"{_checksum(source, settings)}.safetensors"
    if path.is_file():
        try:
            return replace(Observations.load(path), name=source.name)
        except InputFileError:
            path.unlink(missing_ok=True)  # damaged; it is written again below
    found = observe(source, settings, progress=progress)
    found.save(path)
    return found


def _checksum(source: Source, settings: Settings) -> str:
    """Return a checksum of all that an observation depends on."""
    digest = hashlib.sha256()
    atoms = [(a.name, a.residue.name, a.residue.id) for a in source.topology.atoms()]
    elements = [a.element.symbol if a.element else "" for a in source.topology.atoms()]
    bonds = [(b.atom1.index, b.atom2.index) for b in source.topology.bonds()]
    smiles = None if source.molecule is None else Chem.MolToSmiles(source.molecule)
    plain = [__version__, FORMAT, asdict(settings), atoms, elements, bonds, smiles]
    digest.update(json.dumps([*plain, source.interval, source.start]).encode())
    arrays = [source.reference, source.box, source.ligand, source.b_factors]
    if source.readings is not None:
        arrays += [source.readings.time, *source.readings.columns.values()]
    for array in arrays:
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    try:
        with open(source.trajectory, "rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputFileError(
            f"{source.trajectory}: cannot be read ({error.strerror}); check the path"
        ) from error
    return digest.hexdigest()
