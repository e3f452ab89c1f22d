"""The backend cuda is compared with the float64 reference before its results are used.

As for ANI, see `nnpmm.models.ani.first_use`: no test done elsewhere covers a GPU and its driver.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.aimnet.backends import BACKENDS, Kernel
from nnpmm.models.comparison import find_problem, warn

if TYPE_CHECKING:
    from nnpmm.models.aimnet.model import AimnetModel

__all__ = ["trusted_kernel"]

_LOGGER = logging.getLogger(__name__)
#: The reference's memory grows with the square: larger regions are not compared.
_LARGEST = 500


def trusted_kernel(
    model: AimnetModel,
    symbols: list[str],
    charge: int,
    kernel: Kernel,
    positions: NDArray[np.float64],
) -> tuple[str, Kernel]:
    """Return a backend and its kernel, whose energy and forces here are those of the reference.

    Without agreement the backend ``reference`` takes the place of one that ``auto`` chose, with a
    warning. One that was chosen by name stays, with the warning, and its failure is the caller's.

    Args:
        model: says backend, precision, device and threads.
        symbols: chemical symbol of each atom.
        charge: total charge, e.
        kernel: of the model's backend.
        positions: (n, 3) in nm.
    """
    name = model.backend
    if len(symbols) > _LARGEST:
        _LOGGER.warning(
            "the backend %r was not compared with the reference: found %d atoms, the comparison "
            "covers up to %d; test it on a smaller region",
            name,
            len(symbols),
            _LARGEST,
        )
        return name, kernel
    reference = partial(BACKENDS["reference"].factory, model.parameters, symbols, charge)
    expected = reference("cpu", "double", model.threads).evaluate(positions)
    evaluate = partial(kernel.evaluate, positions)
    problem = find_problem(evaluate, expected, catch=model.automatic)
    if problem is None:
        return name, kernel
    what = f"the backend {name!r} on {model.device} {problem}"
    if not model.automatic:
        warn(_LOGGER, f"{what}; results may be wrong: use backend='auto' or 'reference'")
        return name, kernel
    warn(_LOGGER, f"{what}; the backend 'reference' is used instead")
    return "reference", reference(model.device, model.precision, model.threads)
