"""Energies of the network and of the force field on saved frames of a trajectory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Topology

from nnpmm.core.errors import ConfigError, ForceFieldError, SimulationError
from nnpmm.core.geometry import WholeRegion, reduced_box
from nnpmm.core.units import in_md_units
from nnpmm.coupling import (
    HybridSystem,
    Interpolated,
    LinkAtoms,
    Mechanical,
    Role,
    Subtractive,
    couple,
    forces_by_role,
    role_of,
)
from nnpmm.coupling.callback import NON_FINITE_ENERGY, check_span
from nnpmm.coupling.subtractive_system import bind_force_field
from nnpmm.integrators.bond_graph import BondGraph
from nnpmm.integrators.watchdog import WatchdogRanges
from nnpmm.models.protocol import Potential
from nnpmm.structures.selection import atom_label

__all__ = ["region_differences"]

_BATCH = 256  # geometries in one evaluation of the network, to bound its memory
_MOST_NAMED = 8  # frames in a message

_Energy = Callable[[NDArray[np.float64], NDArray[np.float64] | None], float]
_Frame = tuple[NDArray[np.float64], NDArray[np.float64] | None]


def region_differences(
    mm_system: openmm.System,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    model: Potential,
    *,
    positions: Iterable[Any],
    boxes: Iterable[Any] | None = None,
    boundary: LinkAtoms | None = None,
    embedding: Literal["mechanical", "subtractive"] = "mechanical",
    changed_bonds: Literal["refuse", "nan"] = "refuse",
) -> NDArray[np.float64]:
    """Return V_NNP(region) - V_MM(region) of frames, the network evaluated in batches.

    This is the value of `nnpmm.coupling.nnp_derivative` for a whole trajectory, with the force
    field in double precision and the network in its own precision. With subtractive embedding V_MM
    is the energy of the region alone, V_FF(R), so frames from AMOEBA can be used. The region is
    made whole first, so frames may be wrapped into the box in any way. For several regions with
    their own models, add up the results of each.

    Both potentials treat constrained bonds to hydrogen as constrained, as with
    ``Mechanical(constraints="keep")``. Both treat all other constrained distances, such as the
    angle of rigid water, as free, although frames sampled with the constraints do not show how
    these distances vary. The force field needs a term for each of them.

    Args:
        mm_system: the force field's system, before any coupling.
        topology: that it was made from, with elements.
        region: 0-based indices of the region's atoms.
        model: the network.
        positions: the frames, each (n_atoms, 3) with all atoms of the system, nm or Quantity; an
            array (k, n_atoms, 3), or anything that yields one after the other.
        boxes: periodic box vectors of each frame as rows of a lower triangular matrix (3, 3), nm
            or Quantity; needed for a periodic system and refused for another.
        boundary: link atoms cap bonds that the region cuts, as in `nnpmm.coupling.Mechanical`.
        embedding: that of the network, `nnpmm.coupling.Mechanical` or `nnpmm.coupling.Subtractive`.
        changed_bonds: treatment of frames in which the region's bonds (by distance, with the ranges
            of `nnpmm.integrators.WatchdogRanges`) differ from the topology's, as after a proton
            transfer: ``"refuse"`` raises an error, ``"nan"`` returns nan for them.

    Returns:
        The differences (k,) in kJ/mol, without the network's atomic self energies.

    Raises:
        ForceFieldError: the system is a hybrid one, contains a force that cannot be coupled, or has
            constraints inside the region, other than bonds to hydrogen, without a term.
        RegionError: the region is empty, cuts a bond, or the model cannot describe it.
        ConfigError: no frames, boxes missing, too many or too few, or arrays of another shape.
        SimulationError: an energy or position is not finite, the region spans half the box, or
            bonds have changed, and the frames are named.
    """
    hybrid, force_field = _bind_potentials(
        mm_system, topology, region, model, boundary=boundary, embedding=embedding
    )
    atoms = hybrid.region.network_atoms
    bonds = _BondCheck(mm_system, topology, hybrid.region.atoms)
    join = WholeRegion(len(atoms), hybrid.region.bonded_rows)
    mm_energies, geometries = [], []
    periodic = mm_system.usesPeriodicBoundaryConditions()
    for frame, box in _frames(positions, boxes, mm_system.getNumParticles(), periodic=periodic):
        if box is not None:
            frame[atoms] = join(frame[atoms], box)
            check_span(frame[atoms], box)
        # A force field has no terms for new bonds; induced dipoles may not even converge.
        unchanged = bonds.are_unchanged(frame, box)
        mm_energies.append(force_field(frame, box) if unchanged else 0.0)
        geometries.append(frame[atoms])
    if not geometries:
        raise ConfigError("found no frames, expected at least one")
    if bonds.changed and changed_bonds == "refuse":
        raise SimulationError(bonds.message())
    starts = range(0, len(geometries), _BATCH)
    batches = (np.array(geometries[start : start + _BATCH]) for start in starts)
    energies = np.concatenate([hybrid.evaluator.batch(batch).energies for batch in batches])
    differences = energies - mm_energies
    if not np.isfinite(differences).all():
        frame_index = int(np.argmin(np.isfinite(differences)))
        raise SimulationError(f"frame {frame_index}: {NON_FINITE_ENERGY}, or remove the frame")
    differences[list(bonds.changed)] = np.nan
    return np.asarray(differences)


class _BondCheck:
    """Records the frames in which the region's bonds are not those of the topology.

    Attributes:
        changed: description of the first changed bond, by the index of the frame.
    """

    def __init__(
        self, system: openmm.System, topology: Topology, region: NDArray[np.int64]
    ) -> None:
        ranges = WatchdogRanges()
        self._graph = BondGraph(
            system, topology, region, broken=ranges.broken, formed=ranges.formed
        )
        atoms = list(topology.atoms())
        self._labels = [atom_label(atoms[index]) for index in region]
        self._region, self._count = region, 0
        self.changed: dict[int, str] = {}

    def are_unchanged(self, frame: NDArray[np.float64], box: NDArray[np.float64] | None) -> bool:
        """Return whether the next frame, (n_atoms, 3), nm, has the bonds of the topology."""
        region = frame[self._region]
        # A position that is not finite is reported later, with the network's energy.
        changes = self._graph.update(region, box) if np.isfinite(region).all() else []
        if changes:
            self.changed[self._count] = self._graph.describe(changes[0], self._labels)
        self._count += 1
        return not changes

    def message(self) -> str:
        """Return the error message, which names the frames."""
        frames = list(self.changed)
        named = ", ".join(map(str, frames[:_MOST_NAMED]))
        more = f" and {len(frames) - _MOST_NAMED} more" if len(frames) > _MOST_NAMED else ""
        return (
            f"in {len(frames)} of {self._count} frames ({named}{more}) the region's bonds are not "
            f"those of the topology, first in frame {frames[0]}: {self.changed[frames[0]]}; the "
            "force field does not describe them, allowed: frames with its bonds, or a choice to "
            "leave the others out, which makes the result that of the bonds of the topology"
        )


def _bind_potentials(
    mm_system: openmm.System,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    model: Potential,
    *,
    boundary: LinkAtoms | None,
    embedding: Literal["mechanical", "subtractive"],
) -> tuple[HybridSystem, _Energy]:
    """Return the region with its network, and the force field's energy inside it.

    The latter is a function of the positions of all atoms, with a whole region, and the box.
    """
    if Role.NETWORK in forces_by_role(mm_system):
        raise ForceFieldError(
            "found a network in the system, expected the MM system before coupling; for several "
            "regions, add up the differences of each"
        )
    if embedding == "subtractive":
        return _bind_subtractive(mm_system, topology, region, model, boundary)
    coupling = Mechanical(constraints="keep", boundary=boundary, inside=Interpolated())
    hybrid = couple(mm_system, topology, region, model, coupling=coupling)
    system = hybrid.system
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if role_of(force) is Role.REGION_FORCE_FIELD:
            force.setGlobalParameterDefaultValue(0, 0.0)  # lambda_nnp: all of the force field
        else:
            system.removeForce(index)
    # Reference has double precision, and is fast enough for the few terms of a region.
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    return hybrid, lambda positions, box: _energy(context, positions, box)


def _bind_subtractive(
    mm_system: openmm.System,
    topology: Topology,
    region: Sequence[int] | NDArray[np.int64],
    model: Potential,
    boundary: LinkAtoms | None,
) -> tuple[HybridSystem, _Energy]:
    """Return the region with its network, and V_FF(R)."""
    if boundary is not None:
        raise ConfigError(
            "found link atoms with subtractive embedding, which describes whole molecules; "
            "allowed: no boundary"
        )
    coupling = Subtractive(constraints="keep", inside=Interpolated())
    hybrid = couple(mm_system, topology, region, model, coupling=coupling)
    alone = bind_force_field(mm_system, hybrid.region)
    atoms = hybrid.region.atoms
    return hybrid, lambda positions, _: alone(positions[atoms])[0]


def _energy(
    context: openmm.Context, positions: NDArray[np.float64], box: NDArray[np.float64] | None
) -> float:
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    energy = context.getState(energy=True).getPotentialEnergy()
    return float(energy.value_in_unit(unit.kilojoule_per_mole))


def _frames(
    positions: Iterable[Any], boxes: Iterable[Any] | None, n_atoms: int, *, periodic: bool
) -> Iterator[_Frame]:
    """Yield each frame's positions (n_atoms, 3), a copy, and reduced box (3, 3) in nm, checked."""
    if periodic != (boxes is not None):
        raise ConfigError(
            "found no boxes, a periodic system needs the box vectors of every frame"
            if periodic
            else "found boxes for a system without a periodic box; leave them out"
        )
    pairs = zip(positions, itertools.repeat(None)) if boxes is None else _paired(positions, boxes)
    for index, (raw, raw_box) in enumerate(pairs):
        frame = _array(raw, (n_atoms, 3), f"frame {index}: found positions")
        box = None if raw_box is None else _checked_box(raw_box, f"frame {index}")
        yield frame, box


def _paired(positions: Iterable[Any], boxes: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    missing = object()
    for index, (frame, box) in enumerate(
        itertools.zip_longest(positions, boxes, fillvalue=missing)
    ):
        if frame is missing or box is missing:
            absent = "positions" if frame is missing else "boxes"
            raise ConfigError(
                f"found no {absent} of frame {index}, expected as many frames as in the other "
                "arrays"
            )
        yield frame, box


def _array(raw: Any, shape: tuple[int, int], found: str) -> NDArray[np.float64]:
    array = np.array(in_md_units(raw, unit.nanometer), dtype=np.float64)
    if array.shape != shape:
        raise ConfigError(f"{found} of shape {array.shape}, expected {shape}")
    return array


def _checked_box(raw: Any, where: str) -> NDArray[np.float64]:
    """Return box vectors in OpenMM's reduced form, which those in files may miss by rounding."""
    box = _array(raw, (3, 3), f"{where}: found a box")
    if np.triu(box, 1).any() or not (np.diag(box) > 0).all():
        raise ConfigError(
            f"{where}: found the box vectors {box.tolist()}, allowed: rows of a lower triangular "
            "matrix with lengths above 0 on its diagonal; rotate box and positions, as mdtraj does"
        )
    return reduced_box(box)
