"""What an EMLE model consists of, and the symmetry functions that it is made on."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.ani.parameters import SymmetryFunctions

__all__ = ["ANI_2X_FUNCTIONS", "EmleParameters"]

#: The AEV of ANI-2x (Devereux et al., J. Chem. Theory Comput. 2020, 16, 4192), angstrom.
ANI_2X_FUNCTIONS = SymmetryFunctions(
    elements=("H", "C", "N", "O", "S", "F", "Cl"),
    radial_cutoff=5.1,
    angular_cutoff=3.5,
    radial_eta=19.7,
    radial_shifts=tuple(0.8 + 0.26875 * k for k in range(16)),
    angular_eta=12.5,
    angular_shifts=tuple(0.8 + 0.3375 * k for k in range(8)),
    angular_zeta=14.1,
    angle_shifts=tuple(math.pi / 8 * (2 * k + 1) for k in range(4)),
)
_NOISE = 1e-3  # standard deviation in the Gaussian processes, as published


@dataclass(frozen=True, eq=False)
class EmleParameters:
    """An EMLE model (Zinovjev, J. Chem. Theory Comput. 2023, 19, 1888), in atomic units.

    The width s and the electronegativity chi of an atom are Gaussian processes on its AEV a, scaled
    to length 1, f = a / |a|: with reference environments f_r of the same element,
    s = mean + sum_r c_r (f . f_r)^2, and likewise chi.

    Attributes:
        elements: chemical symbols that the model knows.
        columns: of the AEV of ANI-2x that enter the products, (c,).
        references: for each element its reference environments, (r, c).
        widths: s of these, (r,), bohr.
        electronegativities: chi of these, (r,), hartree/e.
        core_charges: of each element, e.
        gaussian_scale: widths of the charges that equilibrate, in units of s.
        thole_scale: of the distances at which induced dipoles are damped.
        polarizability_scales: of each element, polarizability per volume.
    """

    elements: tuple[str, ...]
    columns: NDArray[np.int64]
    references: tuple[NDArray[np.float64], ...]
    widths: tuple[NDArray[np.float64], ...]
    electronegativities: tuple[NDArray[np.float64], ...]
    core_charges: NDArray[np.float64]
    gaussian_scale: float
    thole_scale: float
    polarizability_scales: NDArray[np.float64]

    def coefficients(self, values: tuple[NDArray[np.float64], ...]) -> list[NDArray[np.float64]]:
        """Return c_r of each element for values at its reference environments, minus their mean.

        The kernel is (f . f')^2; the noise has a standard deviation of 1e-3.
        """
        found = []
        for features, at_references in zip(self.references, values, strict=True):
            kernel = (features @ features.T) ** 2 + _NOISE**2 * np.eye(len(features))
            found.append(np.linalg.solve(kernel, at_references - at_references.mean()))
        return found

    @property
    def functions(self) -> SymmetryFunctions:
        """Constants of the AEV."""
        return ANI_2X_FUNCTIONS

    def digest(self) -> str:
        """Return the sha256 of all parameters."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        checksum = hashlib.sha256()
        for each in fields(self):
            value = getattr(self, each.name)
            parts = value if isinstance(value, tuple) else (value,)
            for part in parts:
                checksum.update(np.ascontiguousarray(part).tobytes())
                checksum.update(str(part).encode() if isinstance(part, str) else b";")
        return checksum.hexdigest()
