"""The network for LAMMPS built with ML-IAP and Python: ``pair_style mliap unified``.

LAMMPS then builds the list of pairs and sums the forces of pairs, ghosts included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from openmm.app import Element

from nnpmm.core.constants import EV_TO_KJ_PER_MOL, KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, OptionalDependencyError
from nnpmm.engines.lammps.units import NM_PER_ANGSTROM
from nnpmm.models.local import LocalPotential, Neighbourhoods, local_potential
from nnpmm.models.protocol import Potential

__all__ = ["create_mliap_model"]

_ENERGY_UNITS = {"metal": EV_TO_KJ_PER_MOL, "real": KJ_PER_KCAL}  # kJ/mol


def create_mliap_model(
    model: Potential, elements: Sequence[str], *, units: Literal["metal", "real"] = "metal"
) -> Any:
    """Return an object for ``lammps.mliap.load_unified``, then ``pair_style mliap unified EXISTS``.

    Args:
        model: the network.
        elements: chemical symbols, as behind ``pair_coeff * *``, in the order of the types.
        units: of LAMMPS.

    Raises:
        OptionalDependencyError: the Python package lammps is missing.
        ConfigError: other units.
        ModelError: the network cannot be evaluated for part of a system.
        RegionError: an element that the network does not know.
    """
    if units not in _ENERGY_UNITS:
        raise ConfigError(f"found the units {units!r}, allowed: {', '.join(_ENERGY_UNITS)}")
    potential = local_potential(model, elements)
    try:
        from lammps.mliap.mliap_unified_abc import MLIAPUnified
    except (ImportError, OSError) as error:
        raise OptionalDependencyError(
            f"found no lammps.mliap ({error}); use a LAMMPS that was built with ML-IAP and PYTHON"
        ) from error
    return _unified(MLIAPUnified, potential, list(elements), _ENERGY_UNITS[units])


def _unified(base: Any, potential: LocalPotential, elements: list[str], energy_unit: float) -> Any:
    """Return an instance of a class derived from LAMMPS' own, known only once it is imported."""
    numbers = np.array([Element.getBySymbol(symbol).atomic_number for symbol in elements])
    gradient_unit = energy_unit / NM_PER_ANGSTROM  # kJ/mol/nm

    class Unified(base):
        """A network in the interface of ML-IAP."""

        def compute_gradients(self, data: Any) -> None:
            """Do nothing: the network has no parameters to fit here."""

        def compute_descriptors(self, data: Any) -> None:
            """Do nothing: the descriptors are computed inside the network."""

        def compute_forces(self, data: Any) -> None:
            """Set the energies of the atoms, and their derivatives by the vector of each pair."""
            order = np.argsort(data.pair_i, kind="stable")
            centres = np.asarray(data.pair_i)[order]
            n_owned = data.nlistatoms
            found = potential.evaluate(
                numbers[np.asarray(data.elems)],
                Neighbourhoods(
                    np.searchsorted(centres, np.arange(n_owned + 1)),
                    np.asarray(data.pair_j)[order].astype(np.int64),
                    np.asarray(data.rij)[order] * NM_PER_ANGSTROM,
                ),
            )
            energies = found.energies / energy_unit
            data.eatoms = energies
            data.energy = float(energies.sum())
            gradients = np.empty_like(found.gradients)
            gradients[order] = found.gradients / gradient_unit
            data.update_pair_forces(gradients)

    # The cutoff of ML-IAP is twice the radius of an element, which is 1, times this factor.
    factor = potential.cutoff / NM_PER_ANGSTROM / 2
    return Unified(None, elements, 1, 1, factor)
