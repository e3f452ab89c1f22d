"""A check of a potential: a measurement with bounds, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import NnpmmError, shortened
from nnpmm.models.validation.probe import Probe

__all__ = [
    "FAIL",
    "NOT_APPLICABLE",
    "PASS",
    "WARN",
    "Check",
    "Curve",
    "Finding",
    "Measurement",
    "NotApplicable",
    "largest_change",
]

PASS, WARN, FAIL, NOT_APPLICABLE = "pass", "warn", "fail", "n/a"

_THERMAL = 0.01  # nm, how far a bonded atom moves at room temperature


class NotApplicable(Exception):
    """A check needs a property that the potential does not have."""


class Curve(NamedTuple):
    """Values along something, for a picture: both (n,)."""

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


class Measurement(NamedTuple):
    """One figure, what else there is to say about it, and curves that show it."""

    value: float
    note: str = ""
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The result of a check for one molecule.

    Attributes:
        check: name of the check.
        molecule: name of the molecule.
        verdict: ``"pass"``, ``"warn"``, ``"fail"`` or ``"n/a"``.
        value: the measured value; None if nothing could be measured.
        note: further observations.
        curves: for a picture.
    """

    check: str
    molecule: str
    verdict: str
    value: float | None
    note: str
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Check:
    """A measurement on a potential with two bounds.

    Attributes:
        name: of the check.
        measure: from a molecule with the potential bound to it to a figure.
        unit: of the figure.
        good: the figure passes up to here; down to here if ``good`` is larger than ``bad``.
        bad: beyond it fails, between the two is a warning.
        figure: what is measured.
        beyond: what it means if the figure is out of bounds.
    """

    name: str
    measure: Callable[[Probe], Measurement]
    unit: str
    good: float
    bad: float
    figure: str
    beyond: str

    @property
    def at_least(self) -> bool:
        """Whether larger figures are better."""
        return self.good > self.bad

    def verdict(self, value: float) -> str:
        """Return what a figure means; one that is not a number fails."""
        sign = -1.0 if self.at_least else 1.0
        if not sign * value <= sign * self.bad:
            return FAIL
        return PASS if sign * value <= sign * self.good else WARN

    def __call__(self, probe: Probe) -> Finding:
        """Measure; a potential that raises an error or gives no finite number fails."""
        try:
            with np.errstate(all="ignore"):
                value, note, curves = self.measure(probe)
        except NotApplicable as reason:
            return Finding(self.name, probe.name, NOT_APPLICABLE, None, str(reason))
        except Exception as error:  # whatever a potential of another package may raise
            kind = "" if isinstance(error, NnpmmError) else f"{type(error).__name__}: "
            return Finding(self.name, probe.name, FAIL, None, kind + shortened(error))
        value = float(value)
        return Finding(self.name, probe.name, self.verdict(value), value, note, curves)


def largest_change(energies: NDArray[np.float64], forces: NDArray[np.float64]) -> float:
    """Return the largest change of an energy, kJ/mol, or of a force over 0.01 nm.

    The second is the energy by which an error of the force shows in a thermal motion.

    Args:
        energies: changes of energies, (k,), kJ/mol.
        forces: changes of forces, any shape, kJ/mol/nm.
    """
    return float(max(np.abs(energies).max(), _THERMAL * np.abs(forces).max()))
