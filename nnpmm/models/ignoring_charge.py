"""A potential for neutral molecules on a charged one, by an explicit choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.protocol import Evaluator, Potential

__all__ = ["IgnoringCharge"]


@dataclass(frozen=True)
class IgnoringCharge:
    """A potential for neutral molecules, allowed to describe charged regions.

    ANI was trained on neutral molecules. To it, an ion is a neutral molecule with the same atoms at
    the same positions, so energies and forces of a charged region are an extrapolation. Deep-HP
    runs charged ligands with ANI-2x in this way (T. Jaffrelot Inizan et al., Chem. Sci. 2023, 14,
    5438). Prefer a potential that supports charges.

    Args:
        potential: for neutral molecules only.
    """

    potential: Potential

    @property
    def name(self) -> str:
        """That of the potential."""
        return self.potential.name

    @property
    def elements(self) -> tuple[str, ...] | None:
        """Chemical symbols that the potential knows; None if any."""
        return self.potential.elements

    @property
    def neutral_only(self) -> bool:
        """False: a charge is allowed."""
        return False

    @property
    def provenance(self) -> dict[str, Any]:
        """That of the potential, and that charges are ignored."""
        return {**self.potential.provenance, "ignores_charge": True}

    def bind(self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0) -> Evaluator:
        """Fix the composition; the charge is not passed on.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e, which the potential does not see.

        Raises:
            RegionError: see the potential's own.
        """
        return self.potential.bind(atomic_numbers)
