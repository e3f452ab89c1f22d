"""Compare a fast kernel's energy and forces with the float64 reference."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from nnpmm.core.errors import NnpmmError
from nnpmm.core.user_warnings import warn_user
from nnpmm.models.protocol import Evaluation

__all__ = ["find_problem", "first_line", "warn"]

_LOGGER = logging.getLogger(__name__)
#: Tolerances for a ligand, the same for every backend: kJ/mol and kJ/mol/nm.
_ENERGY, _FORCE = 0.01, 0.5
#: In single precision the energy of each atom, some 500 kJ/mol, is rounded at the seventh digit,
#: partly in the same direction for equal atoms. So beyond this many atoms the bound grows with
#: their number.
_ATOMS = 100
#: Rounding of large forces, as between atoms that overlap.
_RELATIVE_FORCE = 1e-5


def find_problem(
    evaluate: Callable[[], Evaluation], expected: Evaluation, *, catch: bool
) -> str | None:
    """Return what is wrong with a kernel's result, or None; without ``catch`` it may raise.

    Args:
        evaluate: evaluates it where the reference was evaluated.
        expected: the reference's result.
        catch: whether an exception is returned as a problem; an NnpmmError, which says what is
            wrong with the input, is raised in any case.
    """
    try:
        found = evaluate()
    except NnpmmError:
        raise
    except Exception as error:  # whatever a compiler or a driver may raise
        if not catch:
            raise
        return f"fails ({first_line(error)})"
    energy = abs(found.energy - expected.energy)
    force = float(np.abs(found.forces - expected.forces).max())
    energy_bound = _ENERGY * max(1.0, len(found.forces) / _ATOMS)
    force_bound = _FORCE + _RELATIVE_FORCE * float(np.abs(expected.forces).max())
    if energy <= energy_bound and force <= force_bound:  # False for NaN
        _LOGGER.info("compared with the reference: %.2g kJ/mol, %.2g kJ/mol/nm", energy, force)
        return None
    return (
        f"differs from the float64 reference by {energy:.3g} kJ/mol and {force:.3g} kJ/mol/nm, "
        f"allowed: {energy_bound:.3g} and {force_bound:.3g}"
    )


def first_line(error: Exception) -> str:
    """Return the class of an error and the first line of its message, shortened."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def warn(logger: logging.Logger, text: str) -> None:
    """Warn the user of the evaluator, and write the warning to the log."""
    warn_user(text, RuntimeWarning)
    logger.warning("%s", text)
