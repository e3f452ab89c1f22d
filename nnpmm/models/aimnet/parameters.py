"""What an AIMNet2 model consists of: constants, networks, self energies and dispersion tables."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ani.parameters import Layer
from nnpmm.models.ensemble import rows_of_members

__all__ = [
    "LEAST_CHARGE_WEIGHT",
    "LEAST_DISPERSION_WEIGHT",
    "PASSES",
    "AimnetParameters",
    "Dispersion",
    "Network",
]

#: Message-passing iterations of every AIMNet2 network; the first sees no charges yet.
PASSES = 3
#: Added to the sum of the weights by which the missing charge is distributed, as published.
LEAST_CHARGE_WEIGHT = 1e-6
#: Below this weight of all pairs of reference systems, the published model sets C6 to zero.
LEAST_DISPERSION_WEIGHT = 1e-5
_DISPERSION_CONSTANTS = ("s6", "s8", "a1", "a2", "counting", "weighting")
_DISPERSION_TABLES = ("covalent_radii", "radii", "reference_coordination", "c6")
_CONSTANTS = ("cutoff", "eta", "shifts", "coulomb_cutoff")


@dataclass(frozen=True)
class Network:
    """One network of the ensemble; all arrays are float32.

    Args:
        embedding: features of each element before the first pass, (elements, features, radial).
        feature_combinations: of radial functions into vectors, for every feature,
            (features, radial, combinations).
        charge_combinations: the same for the charges, (1, radial, combinations).
        passes: layers of each pass; GELU follows every layer but the last of the first pass.
        output: layers from the features after the last pass to the atomic energy, eV, with GELU
            between them.
        self_energies: what this network adds for each atom, (elements,), eV.
    """

    embedding: NDArray[np.float32]
    feature_combinations: NDArray[np.float32]
    charge_combinations: NDArray[np.float32]
    passes: tuple[tuple[Layer, ...], ...]
    output: tuple[Layer, ...]
    self_energies: NDArray[np.float32]

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return all arrays by the names that they have in a file."""
        found = {
            "embedding": self.embedding,
            "feature_combinations": self.feature_combinations,
            "charge_combinations": self.charge_combinations,
            "self_energies": self.self_energies,
        }
        groups = {f"pass{number}": layers for number, layers in enumerate(self.passes)}
        for group, layers in {**groups, "output": self.output}.items():
            for depth, layer in enumerate(layers):
                found[f"{group}.{depth}.weight"] = layer.weight
                found[f"{group}.{depth}.bias"] = layer.bias
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Network:
        """Return the network of arrays named as by `tensors`.

        Raises:
            KeyError: one is missing.
        """

        def layers(group: str) -> tuple[Layer, ...]:
            depth = sum(name.startswith(f"{group}.") for name in tensors) // 2
            return tuple(
                Layer(tensors[f"{group}.{d}.weight"], tensors[f"{group}.{d}.bias"])
                for d in range(max(depth, 1))
            )

        return cls(
            embedding=tensors["embedding"],
            feature_combinations=tensors["feature_combinations"],
            charge_combinations=tensors["charge_combinations"],
            passes=tuple(layers(f"pass{number}") for number in range(PASSES)),
            output=layers("output"),
            self_energies=tensors["self_energies"],
        )


@dataclass(frozen=True)
class Dispersion:
    """DFT-D3 with Becke-Johnson damping, two-body terms, in bohr and hartree.

    Grimme, Antony, Ehrlich and Krieg, J. Chem. Phys. 2010, 132, 154104; damping by Grimme, Ehrlich
    and Goerigk, J. Comput. Chem. 2011, 32, 1456.

    Args:
        s6, s8, a1, a2: of the functional; a2 in bohr.
        counting: k1, steepness of the function that counts neighbours.
        weighting: k3, how fast a reference system fades with the difference of coordination.
        covalent_radii: scaled as for the count, (elements,).
        radii: square root of Z^(1/2) <r^4> / (2 <r^2>), (elements,).
        reference_coordination: of each element's reference systems, (elements, 5); -1 where there
            are fewer than five.
        c6: of pairs of reference systems, (elements, elements, 5, 5).
    """

    s6: float
    s8: float
    a1: float
    a2: float
    counting: float
    weighting: float
    covalent_radii: NDArray[np.float32]
    radii: NDArray[np.float32]
    reference_coordination: NDArray[np.float32]
    c6: NDArray[np.float32]

    def constants(self) -> dict[str, float]:
        """Return the numbers by name."""
        return {name: getattr(self, name) for name in _DISPERSION_CONSTANTS}

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the tables by name."""
        return {name: getattr(self, name) for name in _DISPERSION_TABLES}

    @classmethod
    def from_tensors(
        cls, constants: Mapping[str, float], tensors: Mapping[str, NDArray[np.float32]]
    ) -> Dispersion:
        """Join `constants` with `tensors`; a name that is missing is a KeyError."""
        chosen: dict[str, Any] = {name: constants[name] for name in _DISPERSION_CONSTANTS}
        chosen |= {name: tensors[name] for name in _DISPERSION_TABLES}
        return cls(**chosen)


@dataclass(frozen=True)
class AimnetParameters:
    """A whole AIMNet2 ensemble, lengths in angstrom and energies in eV.

    Args:
        name: the published name.
        elements: chemical symbols in the order of all tables.
        cutoff: of the radial functions and their cosine.
        eta: width of the radial functions, 1/angstrom^2.
        shifts: their centres, angstrom.
        coulomb_cutoff: within it part of the Coulomb energy is left to the networks.
        dispersion: constants and tables.
        members: the networks.
        member_indices: which networks of the published ensemble these are.
        self_energies: energy of each isolated atom, eV: the mean over the published networks.
    """

    name: str
    elements: tuple[str, ...]
    cutoff: float
    eta: float
    shifts: tuple[float, ...]
    coulomb_cutoff: float
    dispersion: Dispersion
    members: tuple[Network, ...]
    member_indices: tuple[int, ...]
    self_energies: Mapping[str, float]

    def subset(self, members: int | Sequence[int] | None) -> AimnetParameters:
        """Return the parameters of some of the networks; the self energies stay.

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

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return all arrays by the names that they have in a file."""
        found = {f"dispersion.{name}": array for name, array in self.dispersion.tensors().items()}
        for index, member in zip(self.member_indices, self.members, strict=True):
            found |= {f"{index}.{name}": array for name, array in member.tensors().items()}
        return found

    def constants_json(self) -> str:
        """Return all that is not an array as JSON whose floats read back equal."""
        constants: dict[str, Any] = {name: getattr(self, name) for name in _CONSTANTS}
        return json.dumps(
            {
                "name": self.name,
                "elements": self.elements,
                **constants,
                "dispersion": self.dispersion.constants(),
                "member_indices": self.member_indices,
                "self_energies": {e: self.self_energies[e] for e in self.elements},
            }
        )

    @classmethod
    def from_tensors(
        cls, text: str, tensors: Mapping[str, NDArray[np.float32]]
    ) -> AimnetParameters:
        """Join constants written by `constants_json` with arrays named as by `tensors`.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of another kind.
        """
        data = json.loads(text)

        def within(prefix: str) -> dict[str, NDArray[np.float32]]:
            start = f"{prefix}."
            return {
                name.removeprefix(start): array
                for name, array in tensors.items()
                if name.startswith(start)
            }

        indices = tuple(data["member_indices"])
        return cls(
            name=data["name"],
            elements=tuple(data["elements"]),
            cutoff=data["cutoff"],
            eta=data["eta"],
            shifts=tuple(data["shifts"]),
            coulomb_cutoff=data["coulomb_cutoff"],
            dispersion=Dispersion.from_tensors(data["dispersion"], within("dispersion")),
            members=tuple(Network.from_tensors(within(str(index))) for index in indices),
            member_indices=indices,
            self_energies=data["self_energies"],
        )

    def digest(self) -> str:
        """Return the sha256 of constants and arrays, whatever their file."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        checksum = hashlib.sha256(self.constants_json().encode())
        for name, array in self.tensors().items():
            checksum.update(f"{name} {array.shape}".encode())
            checksum.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return checksum.hexdigest()
