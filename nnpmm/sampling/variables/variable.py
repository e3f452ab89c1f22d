"""Collective variables: an OpenMM force for biases, and a function of positions.

OpenMM differentiates the force of a bias. The function is its slow, readable reference, for
trajectories and for tests of the force.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import ConfigError, SelectionError
from nnpmm.core.geometry import spanning_trees
from nnpmm.core.units import in_md_units, parse_quantity
from nnpmm.structures.selection import atom_label, select_atoms

__all__ = ["Group", "Structure", "Variable", "VariableError", "in_unit", "parse_in_unit"]

#: A selection in mdtraj's language, or 0-based indices.
Group = str | tuple[int, ...]
Evaluate = Callable[[NDArray[np.float64], NDArray[np.float64] | None], float]
_UNITS = {"rad": unit.radian, "nm": unit.nanometer}


class VariableError(ConfigError):
    """A collective variable cannot be created from its settings."""


@dataclass(frozen=True, eq=False)
class Structure:
    """The structure from which the atoms of variables are selected.

    Attributes:
        topology: topology of all atoms.
        positions: (n_atoms, 3) nm, molecules whole.
        masses: (n_atoms,) amu.
        box: (3, 3) rows in nm, or None without periodic boundaries.
    """

    topology: app.Topology
    positions: NDArray[np.float64]
    masses: NDArray[np.float64]
    box: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        topology: app.Topology,
        positions: Any,
        system: openmm.System | None = None,
        box: Any = None,
    ) -> Structure:
        """Return a structure with the masses of a System, or else those of the elements.

        Args:
            topology: topology of all atoms.
            positions: (n_atoms, 3) nm or Quantity.
            system: a System with the particles of the topology, or None.
            box: (3, 3) rows in nm or Quantity, or None.
        """
        if system is not None:
            masses = [
                system.getParticleMass(index).value_in_unit(unit.dalton)
                for index in range(system.getNumParticles())
            ]
        else:
            elements = [atom.element for atom in topology.atoms()]
            masses = [0.0 if e is None else e.mass.value_in_unit(unit.dalton) for e in elements]
        box_nm = None if box is None else np.asarray(in_md_units(box, unit.nanometer))
        positions_nm = np.asarray(in_md_units(positions, unit.nanometer))
        return cls(topology, positions_nm, np.array(masses), box_nm)

    @property
    def elements(self) -> list[str]:
        """Symbols of the atoms' elements, ``"none"`` for an atom without one."""
        found = (atom.element for atom in self.topology.atoms())
        return ["none" if element is None else element.symbol for element in found]

    def atoms(self, group: Group, what: str) -> NDArray[np.int64]:
        """Return the 0-based indices of a group's atoms.

        Args:
            group: a selection, or indices.
            what: name of the group in error messages.

        Raises:
            SelectionError: the selection cannot be read or matches nothing.
            VariableError: an index is out of range or occurs twice.
        """
        if isinstance(group, str):
            try:
                return select_atoms(self.topology, group)
            except SelectionError as error:
                raise SelectionError(f"{what}: {error}") from error
        indices = np.array(group, dtype=np.int64)
        n_atoms = len(self.masses)
        wrong = indices[(indices < 0) | (indices >= n_atoms)].tolist()
        if wrong or len(indices) == 0 or len(set(group)) < len(group):
            raise VariableError(
                f"{what}: found the atoms {list(group)}, allowed: different indices from 0 to "
                f"{n_atoms - 1}"
            )
        return indices

    def centre(self, group: Group, what: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the atoms of a group and their weights (n,) in its centre of mass.

        Args:
            group: a selection, or indices.
            what: name of the group in error messages.

        Raises:
            SelectionError: see `atoms`.
            VariableError: see `atoms`; atoms without mass, or of several molecules in a periodic
                box, whose images have no common centre.
        """
        indices = self.atoms(group, what)
        if len(indices) == 1:
            return indices, np.ones(1)
        self.require_one_molecule(indices, what)
        masses = self.masses[indices]
        if not masses.sum() > 0:
            raise VariableError(f"{what}: found atoms without mass, which have no centre of mass")
        return indices, masses / masses.sum()

    def require_one_molecule(self, indices: NDArray[np.int64], what: str) -> None:
        """Refuse atoms of several molecules in a periodic box.

        Raises:
            VariableError: the atoms belong to several molecules.
        """
        if self.box is None:
            return
        bonds = [(a.index, b.index) for a, b in self.topology.bonds()]
        molecule = np.empty(len(self.masses), dtype=np.int64)
        for number, fragment in enumerate(spanning_trees(len(self.masses), bonds)[1]):
            molecule[fragment] = number
        if len(set(molecule[indices].tolist())) > 1:
            raise VariableError(
                f"{what}: found atoms of several molecules in a periodic box, where their images "
                "differ; select atoms of one molecule"
            )

    def label(self, index: int) -> str:
        """Return the label of an atom for messages and pictures."""
        return atom_label(list(self.topology.atoms())[index])


@dataclass(frozen=True, eq=False)
class Variable:
    """A collective variable of a System.

    Attributes:
        name: name in the settings.
        unit: ``"rad"``, ``"nm"`` or empty.
        period: period of the values, or None.
        bounds: least and largest possible value, or None without limits.
        create_force: function that returns a new OpenMM force whose energy is the variable.
        evaluate: function that returns the value at positions (n_atoms, 3) nm and box rows (3, 3)
            nm or None.
        label: description in words.
    """

    name: str
    unit: str
    period: float | None
    bounds: tuple[float, float] | None
    create_force: Callable[[], openmm.Force]
    evaluate: Evaluate
    label: str = ""

    def values(
        self, positions: NDArray[np.float64], boxes: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the values (n_frames,) along a trajectory.

        Args:
            positions: (n_frames, n_atoms, 3) nm, molecules whole.
            boxes: (n_frames, 3, 3) rows in nm, or None.
        """
        rows: Sequence[Any] = [None] * len(positions) if boxes is None else list(boxes)
        frames = zip(positions, rows, strict=True)
        return np.array([self.evaluate(frame, box) for frame, box in frames])

    def parse(self, value: Any, what: str) -> float:
        """Return a setting as a number in the unit of the variable.

        Raises:
            ConfigError: another unit, or an angle without one.
        """
        return parse_in_unit(value, self.unit, what)

    def shown(self, value: float) -> str:
        """Return a value with its unit, angles in degrees."""
        number, symbol = in_unit(value, self.unit)
        return f"{number:.4g} {symbol}".strip()


def parse_in_unit(value: Any, symbol: str, what: str) -> float:
    """Return a quantity as a number in ``"rad"``, ``"nm"`` or without unit.

    Raises:
        ConfigError: not a finite number, another unit, or an angle without one.
    """
    try:
        if symbol == "rad" and _has_no_unit(value) and float(value) != 0:
            raise ConfigError(f"found {value!r}, expected an angle with its unit, such as '60 deg'")
        if unit.is_quantity(value):
            found = float(in_md_units(value, _UNITS.get(symbol, unit.dimensionless)))
        else:
            found = parse_quantity(value, _UNITS.get(symbol, unit.dimensionless))
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error
    if not math.isfinite(found):
        raise ConfigError(f"{what}: found {value!r}, expected a finite number")
    return found


def _has_no_unit(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not unit.is_quantity(value)


def in_unit(value: Any, symbol: str) -> tuple[Any, str]:
    """Return values and their unit for output: radians as degrees."""
    if symbol == "rad":
        return np.degrees(value), "degrees"
    return value, symbol
