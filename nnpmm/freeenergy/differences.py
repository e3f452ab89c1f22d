"""Energies of the network and of the force field on saved frames of a trajectory."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.coupling import LAMBDA_NNP, NNP_FORCE_NAME, REGION_MM_FORCE_NAME
from nnpmm.coupling.callback import NON_FINITE_ENERGY, RegionCallback
from nnpmm.coupling.interpolation import NOT_INTERPOLATED
from nnpmm.errors import ConfigError, ForceFieldError, ModelError, SimulationError
from nnpmm.units import in_md_units

__all__ = ["region_differences"]

_BATCH = 256  # geometries that the network is handed at once, to bound its memory

_Frame = tuple[NDArray[np.float64], NDArray[np.float64] | None]


def region_differences(
    system: openmm.System, positions: Iterable[Any], boxes: Iterable[Any] | None = None
) -> NDArray[np.float64]:
    """Return V_NNP(region) - V_MM(region) of frames, the network evaluated in batches.

    What `nnpmm.coupling.nnp_derivative` returns for one context, for a trajectory: in double
    precision but for the network, whose precision is its own. Regions are made whole first.

    Args:
        system: made with ``Mechanical(interpolate=True)``; several interpolated regions add up.
            Global parameters of the force field's terms have their default values.
        positions: the frames, each (n_atoms, 3) with all atoms of the system, nm or Quantity; an
            array (k, n_atoms, 3), or anything that yields one after the other.
        boxes: periodic box vectors of each frame as rows (3, 3) in OpenMM's reduced form, nm or
            Quantity; needed for a periodic system and refused for another.

    Returns:
        The differences (k,) in kJ/mol, without the network's atomic self energies.

    Raises:
        ForceFieldError: the system is not interpolated.
        ModelError: the network cannot be pickled, so it cannot be taken out of the system.
        ConfigError: no frames, boxes missing, too many or too few, or arrays of another shape.
        SimulationError: an energy or position is not finite, or the region spans half the box.
    """
    networks = _networks(system)
    force_field = _region_mm_context(system)
    periodic = any(callback.periodic for _, callback in networks)
    mm_energies: list[float] = []
    regions: list[list[NDArray[np.float64]]] = [[] for _ in networks]
    for frame, box in _frames(positions, boxes, system.getNumParticles(), periodic=periodic):
        mm_energies.append(_energy(force_field, frame, box))
        for geometries, (atoms, callback) in zip(regions, networks, strict=True):
            region = frame[atoms]
            geometries.append(region if box is None else callback.whole(region, box))
    if not mm_energies:
        raise ConfigError("found no frames, expected at least one")
    found = -np.array(mm_energies)
    for geometries, (_, callback) in zip(regions, networks, strict=True):
        for start in range(0, len(found), _BATCH):
            batch = np.array(geometries[start : start + _BATCH])
            found[start : start + _BATCH] += callback.evaluator.batch(batch).energies
    if not np.isfinite(found).all():
        frame_index = int(np.argmin(np.isfinite(found)))
        raise SimulationError(f"frame {frame_index}: {NON_FINITE_ENERGY}, or leave the frame out")
    return found


def _networks(system: openmm.System) -> list[tuple[list[int], RegionCallback]]:
    """Return atoms and callback of each region whose network lambda_nnp weights."""
    found = []
    for force in system.getForces():
        if type(force) is not openmm.PythonForce or force.getName() != NNP_FORCE_NAME:
            continue
        if LAMBDA_NNP not in force.getGlobalParameters():
            continue
        # OpenMM hands out the function of a force in this form alone, as when it copies a system.
        pickled = bytes(force.getPickledFunction())
        if not pickled:
            raise ModelError(
                "the network cannot be pickled, as reweighting needs; define its function at the "
                "top level of a module"
            )
        found.append((list(force.getParticles()), pickle.loads(pickled)))
    if not found:
        raise ForceFieldError(NOT_INTERPOLATED)
    return found


def _region_mm_context(system: openmm.System) -> openmm.Context | None:
    """Return a context with the force field's terms inside regions alone, None without any."""
    bare = openmm.System()
    for _ in range(system.getNumParticles()):
        bare.addParticle(1.0)
    for force in system.getForces():
        if force.getName() == REGION_MM_FORCE_NAME:
            bare.addForce(copy.deepcopy(force))
    if bare.getNumForces() == 0:
        return None
    # Double precision, and fast enough for the few terms of a region.
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(bare, openmm.VerletIntegrator(0.001), platform)
    context.setParameter(LAMBDA_NNP, 0.0)
    return context


def _energy(
    context: openmm.Context | None,
    positions: NDArray[np.float64],
    box: NDArray[np.float64] | None,
) -> float:
    if context is None:
        return 0.0
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    energy = context.getState(energy=True).getPotentialEnergy()
    return float(energy.value_in_unit(unit.kilojoule_per_mole))


def _frames(
    positions: Iterable[Any], boxes: Iterable[Any] | None, n_atoms: int, *, periodic: bool
) -> Iterator[_Frame]:
    """Yield each frame's positions (n_atoms, 3) and box (3, 3) in nm, checked."""
    if periodic != (boxes is not None):
        raise ConfigError(
            "found no boxes, a periodic system needs the box vectors of every frame"
            if periodic
            else "found boxes for a system without a periodic box; leave them out"
        )
    pairs = zip(positions, itertools.repeat(None)) if boxes is None else _paired(positions, boxes)
    for index, (raw, raw_box) in enumerate(pairs):
        frame = _array(raw, (n_atoms, 3), f"frame {index}: found positions")
        box = None if raw_box is None else _array(raw_box, (3, 3), f"frame {index}: found a box")
        if box is not None and not _is_reduced(box):
            raise ConfigError(
                f"frame {index}: found a box that is not in OpenMM's reduced form; give its "
                "vectors as rows, through openmm.app.internal.unitcell.reducePeriodicBoxVectors"
            )
        yield frame, box


def _paired(positions: Iterable[Any], boxes: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    missing = object()
    for index, (frame, box) in enumerate(
        itertools.zip_longest(positions, boxes, fillvalue=missing)
    ):
        if frame is missing or box is missing:
            absent = "positions" if frame is missing else "boxes"
            raise ConfigError(f"found no {absent} of frame {index}, expected as many as the others")
        yield frame, box


def _array(raw: Any, shape: tuple[int, int], found: str) -> NDArray[np.float64]:
    array = np.asarray(in_md_units(raw, unit.nanometer), dtype=np.float64)
    if array.shape != shape:
        raise ConfigError(f"{found} of shape {array.shape}, expected {shape}")
    return array


def _is_reduced(box: NDArray[np.float64]) -> bool:
    lengths = np.diag(box)
    slant = np.abs([box[1, 0], box[2, 0], box[2, 1]])
    halves = 0.5 * lengths[[0, 0, 1]]
    return bool((np.triu(box, 1) == 0).all() and (lengths > 0).all() and (slant <= halves).all())
