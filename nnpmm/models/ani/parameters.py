"""What an ANI model consists of: symmetry-function constants, networks and self energies."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ensemble import rows_of_members

__all__ = ["CELU_ALPHA", "AniParameters", "Layer", "SymmetryFunctions"]

#: Scale of the CELU activation of every ANI network (Devereux et al., JCTC 2020, 16, 4192).
CELU_ALPHA = 0.1


@dataclass(frozen=True)
class SymmetryFunctions:
    """Constants of the atomic environment vector (AEV), in angstrom and radian.

    Equations 3 and 4 of Smith, Isayev and Roitberg, Chem. Sci. 2017, 8, 3192, with the factor 1/4
    of NeuroChem in the radial part and the cosine of the angle scaled by 0.95.

    Args:
        elements: chemical symbols in the order of the AEV's columns.
        radial_cutoff, angular_cutoff: cutoff radii.
        radial_eta, radial_shifts: widths and centres of the radial functions.
        angular_eta, angular_shifts: widths and centres of the radial factor of the angular part.
        angular_zeta, angle_shifts: widths and centres of the angle factor of the angular part.
    """

    elements: tuple[str, ...]
    radial_cutoff: float
    angular_cutoff: float
    radial_eta: float
    radial_shifts: tuple[float, ...]
    angular_eta: float
    angular_shifts: tuple[float, ...]
    angular_zeta: float
    angle_shifts: tuple[float, ...]

    @property
    def radial_length(self) -> int:
        """Number of radial columns: one block of shifts for each element."""
        return len(self.elements) * len(self.radial_shifts)

    @property
    def functions_per_pair(self) -> int:
        """Number of angular columns for each unordered pair of neighbour elements."""
        return len(self.angular_shifts) * len(self.angle_shifts)

    @property
    def aev_length(self) -> int:
        """Number of columns of the AEV."""
        n = len(self.elements)
        return self.radial_length + n * (n + 1) // 2 * self.functions_per_pair

    def pair_index(self) -> NDArray[np.int64]:
        """Block number of each pair of neighbour elements, a symmetric (n, n) matrix.

        The upper triangle is counted row by row, the diagonal included.
        """
        n = len(self.elements)
        index = np.zeros((n, n), dtype=np.int64)
        upper = np.triu_indices(n)
        index[upper] = np.arange(len(upper[0]))
        return np.maximum(index, index.T)

    def columns_of(self, symbols: Collection[str]) -> NDArray[np.int64]:
        """Return the columns of the AEV that belong to some elements alone.

        For a molecule of these elements all other columns are zero.

        Args:
            symbols: chemical symbols of the elements that occur.
        """
        present = [i for i, element in enumerate(self.elements) if element in symbols]
        pairs = self.pair_index()[np.ix_(present, present)][np.triu_indices(len(present))]
        n_shifts, n_angular = len(self.radial_shifts), self.functions_per_pair
        radial = np.add.outer(np.array(present) * n_shifts, np.arange(n_shifts)).ravel()
        angular = np.add.outer(pairs * n_angular, np.arange(n_angular)).ravel()
        return np.concatenate([radial, self.radial_length + angular])


@dataclass(frozen=True)
class Layer:
    """One dense layer: ``weight`` (outputs, inputs) and ``bias`` (outputs,), both float32."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class AniParameters:
    """A whole ANI ensemble.

    Args:
        name: the published name, for example ``"ANI-2x"``.
        symmetry_functions: constants of the AEV.
        members: one mapping for each network of the ensemble, from chemical symbol to the layers of
            that element's network; CELU follows every layer but the last.
        self_energies: energy of each isolated atom in hartree; kept separate from the networks,
            because adding them in float32 would cause rounding errors of 0.1 kJ/mol.
        member_indices: which networks of the published ensemble these are.
    """

    name: str
    symmetry_functions: SymmetryFunctions
    members: tuple[Mapping[str, tuple[Layer, ...]], ...]
    self_energies: Mapping[str, float]
    member_indices: tuple[int, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the networks know."""
        return self.symmetry_functions.elements

    def subset(self, members: int | Sequence[int] | None) -> AniParameters:
        """Return the parameters of some of the networks.

        Args:
            members: indices in the published ensemble; None keeps all.

        Raises:
            ModelError: an index that this ensemble does not contain, none, or one given twice.
        """
        if members is None:
            return self
        rows = rows_of_members(self, members)
        return replace(
            self,
            members=tuple(self.members[row] for row in rows),
            member_indices=tuple(self.member_indices[row] for row in rows),
        )

    def restricted_to(self, symbols: Collection[str]) -> AniParameters:
        """Return the same model for molecules of these elements alone; nothing is approximated.

        A column of the AEV that belongs to an absent element is zero for every atom, so that column
        and the weights of the first layers that it meets can be left out: of ANI-2x's 1008 columns
        384 remain for C, H, N and O.

        Args:
            symbols: chemical symbols of the elements that occur.
        """
        functions = self.symmetry_functions
        columns = functions.columns_of(symbols)
        elements = tuple(element for element in self.elements if element in symbols)
        members = tuple(
            {
                element: (
                    Layer(member[element][0].weight[:, columns], member[element][0].bias),
                    *member[element][1:],
                )
                for element in elements
            }
            for member in self.members
        )
        return replace(
            self,
            symmetry_functions=replace(functions, elements=elements),
            members=members,
            self_energies={element: self.self_energies[element] for element in elements},
        )

    def digest(self) -> str:
        """Return the sha256 of constants, networks and self energies, whatever their file."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        checksum = hashlib.sha256(self.constants_json().encode())
        for member in self.members:
            for element in self.elements:
                for layer in member[element]:
                    checksum.update(np.ascontiguousarray(layer.weight, dtype="<f4").tobytes())
                    checksum.update(np.ascontiguousarray(layer.bias, dtype="<f4").tobytes())
        return checksum.hexdigest()

    def constants_json(self) -> str:
        """Return all that is not a network as JSON whose floats read back equal."""
        constants: dict[str, Any] = {
            f.name: getattr(self.symmetry_functions, f.name) for f in fields(SymmetryFunctions)
        }
        return json.dumps(
            {
                "name": self.name,
                "symmetry_functions": constants,
                "self_energies": {e: self.self_energies[e] for e in self.elements},
                "member_indices": self.member_indices,
            }
        )

    @classmethod
    def from_json(
        cls, text: str, members: tuple[Mapping[str, tuple[Layer, ...]], ...]
    ) -> AniParameters:
        """Join constants written by `constants_json` with their networks."""
        data = json.loads(text)
        constants: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data["symmetry_functions"].items()
        }
        return cls(
            name=data["name"],
            symmetry_functions=SymmetryFunctions(**constants),
            members=members,
            self_energies=data["self_energies"],
            member_indices=tuple(data["member_indices"]),
        )
