"""Free energies of all solutes of a shape from the simulations of some of them.

Neutral Martini beads differ only in their interaction levels, so the energy of a solute in given
surroundings is linear in the well depths (see ``martini.pair_energy``). Recorded phi give the
reduced potential of every solute of the same shape in every frame,

    u_k(x) = [ sum over beads b and channels c of epsilon_k(b, c) phi(x, b, c)
               + sum over inner pairs of epsilon_k(pair) phi(x, pair) ] / kT,

and MBAR the free energies of all of them relative to each other, in the membrane and in water.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.arrays import load_arrays
from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.estimators import mbar, subsample
from nnpmm.permeation.dataset.folder import SoluteJob, read_settings
from nnpmm.permeation.martini.force_field import MoleculeType, interaction
from nnpmm.permeation.martini.pair_energy import Channel, solute_epsilons
from nnpmm.permeation.martini.solute import parse_solute

__all__ = ["LinearEstimate", "SoluteFrames", "read_samples", "relative_free_energies"]


@dataclass(frozen=True)
class SoluteFrames:
    """Recorded frames of one simulated solute.

    Attributes:
        solute: its graph.
        channels: the columns of ``phi``.
        phi: (frames, beads, channels), energies at unit well depth.
        inner_pairs: pairs of beads that interact within the molecule.
        inner: (frames, pairs), the same for them.
    """

    solute: str
    channels: tuple[Channel, ...]
    phi: NDArray[np.float64]
    inner_pairs: tuple[tuple[int, int], ...]
    inner: NDArray[np.float64]


@dataclass(frozen=True)
class LinearEstimate:
    """Relative free energies of solutes in one place, kJ/mol.

    Attributes:
        solutes: their graphs, the simulated ones first.
        simulated: number of simulated solutes.
        differences: (solutes, solutes), row to column.
        errors: (solutes, solutes), one standard deviation.
        effective: (solutes,) effective number of samples.
        overlap: of the simulated solutes, 0 (none) to 1.
    """

    solutes: tuple[str, ...]
    simulated: int
    differences: NDArray[np.float64]
    errors: NDArray[np.float64]
    effective: NDArray[np.float64]
    overlap: float


def read_samples(folder: Path, place: str, like: str) -> list[SoluteFrames]:
    """Return the frames of all finished simulations in a place of solutes of one shape.

    Args:
        folder: of a data set.
        place: ``water`` or a lipid.
        like: a solute of the wanted shape.

    Raises:
        InputFileError: the folder is not a data set, or a result is damaged.
    """
    found = []
    shape = parse_solute(like).bonds
    for solute in read_settings(folder).solutes:
        path = SoluteJob(place, solute).result(folder)
        other = parse_solute(solute)
        if other.bonds != shape or not path.exists():
            continue
        arrays, record = load_arrays(path)
        found.append(
            SoluteFrames(
                solute,
                tuple(Channel(*channel) for channel in record["channels"]),
                arrays["phi"].astype(np.float64),
                tuple((int(i), int(j)) for i, j in record["inner_pairs"]),
                arrays["inner"].astype(np.float64),
            )
        )
    return found


def solute_energies(samples: SoluteFrames, solute: MoleculeType) -> NDArray[np.float64]:
    """Return the (frames,) energies, kJ/mol, of a solute in place of the simulated one."""
    types = tuple(bead.type for bead in solute.beads)
    epsilons = solute_epsilons(types, samples.channels)
    outer = np.einsum("fbc,bc->f", samples.phi, epsilons)
    pairs = [interaction(types[i], types[j])[0] for i, j in samples.inner_pairs]
    return np.asarray(outer + samples.inner @ np.array(pairs))


def relative_free_energies(
    recorded: Sequence[SoluteFrames], targets: Sequence[str], temperature: float
) -> LinearEstimate:
    """Return free energies of solutes in one place relative to each other.

    Args:
        recorded: frames of simulated solutes of one shape.
        targets: solutes of that shape, simulated or not; the simulated ones are added.
        temperature: K.

    Raises:
        ConfigError: nothing was simulated, or a target has another shape.
        SimulationError: MBAR has no solution, or the simulated solutes overlap too little.
    """
    if not recorded:
        raise ConfigError("found no finished simulations of this shape of solute")
    simulated = [samples.solute for samples in recorded]
    names = tuple(dict.fromkeys([*simulated, *targets]))
    solutes = [parse_solute(name) for name in names]
    for solute in solutes:
        if solute.bonds != solutes[0].bonds:
            raise ConfigError(f"{solute.name} has not the shape of {names[0]}, which was simulated")
    states = _states(recorded[0], solutes)
    first = [states.index(state) for state in range(max(states) + 1)]
    columns, counts = [], np.zeros(len(first), dtype=np.int64)
    for samples, state in sorted(zip(recorded, states, strict=False), key=lambda pair: pair[1]):
        energies = np.array([solute_energies(samples, solutes[n]) for n in first])
        kept = subsample(energies[state])
        columns.append(energies[:, kept])
        counts[state] += len(kept)
    found = mbar(
        np.concatenate(columns, axis=1),
        counts,
        temperature=temperature,
        names=[names[n] for n in first],
    )
    pairs = np.ix_(states, states)
    return LinearEstimate(
        names,
        len(recorded),
        found.delta[pairs],
        found.error[pairs],
        found.effective_samples[states],
        found.spectral_gap,
    )


def _states(samples: SoluteFrames, solutes: Sequence[MoleculeType]) -> list[int]:
    """Return a number for each solute, the same for solutes with identical interactions.

    In water, which is of one type, many beads have the same interactions.
    """
    numbers: dict[bytes, int] = {}
    states = []
    for solute in solutes:
        types = tuple(bead.type for bead in solute.beads)
        pairs = [interaction(types[i], types[j])[0] for i, j in samples.inner_pairs]
        key = solute_epsilons(types, samples.channels).tobytes() + np.array(pairs).tobytes()
        states.append(numbers.setdefault(key, len(numbers)))
    return states
