"""A fast kernel is compared with the float64 reference before its results are used.

The compiled kernel depends on the GPU, its driver and versions, so tests on other machines do not
cover it. The ``cpu`` backend is not compared: the tests run it on usual processors, and the
reference would import torch at every start.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError
from nnpmm.models.ani.backends import BACKENDS, Kernel
from nnpmm.models.backends import usable_backends
from nnpmm.models.comparison import find_problem, first_line, warn
from nnpmm.models.protocol import Evaluation

if TYPE_CHECKING:
    from nnpmm.models.ani.model import AniModel

__all__ = ["KernelChoice", "first_kernel", "trusted_kernel"]

_LOGGER = logging.getLogger(__name__)
#: The reference takes memory and time that no ligand needs: larger regions are not compared.
_LARGEST = 5000

KernelChoice = tuple[str, Kernel]


def first_kernel(model: AniModel, symbols: list[str]) -> KernelChoice:
    """Return the model's backend and its kernel, the next one if ``auto`` chose what cannot start.

    Raises:
        ModelError: no backend can start.
    """
    return _next_kernel(model, symbols, tried=())


def trusted_kernel(
    model: AniModel,
    symbols: list[str],
    choice: KernelChoice,
    positions: NDArray[np.float64],
    box: NDArray[np.float64] | None,
) -> KernelChoice:
    """Return a kernel whose energy and forces at these positions are those of the reference.

    A backend that ``auto`` chose is left with a warning if it is off or fails. One that was chosen
    by name stays, with the warning, and its failure is the caller's.

    Args:
        model: says precision, device and threads.
        symbols: chemical symbol of each atom.
        choice: backend and kernel to begin with.
        positions: (n, 3) in nm.
        box: periodic box vectors as rows, (3, 3), in nm, or None.
    """
    tried: list[str] = []
    expected: Evaluation | None = None
    while BACKENDS[choice[0]].compared:
        if len(symbols) > _LARGEST:
            _LOGGER.warning(
                "the backend %r was not compared with the reference: found %d atoms, the "
                "comparison covers up to %d; test it on a smaller region",
                choice[0],
                len(symbols),
                _LARGEST,
            )
            return choice
        if expected is None:
            reference = BACKENDS["reference"].factory
            expected = reference(
                model.parameters, symbols, "cpu", "double", model.threads
            ).evaluate(positions, box)
        evaluate = partial(choice[1].evaluate, positions, box)
        problem = find_problem(evaluate, expected, catch=model.automatic)
        if problem is None:
            return choice
        tried.append(choice[0])
        what = f"the backend {choice[0]!r} on {model.device} {problem}"
        if not model.automatic:
            warn(_LOGGER, f"{what}; results may be wrong: use backend='auto' or 'reference'")
            return choice
        choice = _next_kernel(model, symbols, tuple(tried))
        warn(_LOGGER, f"{what}; the backend {choice[0]!r} is used instead")
    return choice


def _next_kernel(model: AniModel, symbols: list[str], tried: tuple[str, ...]) -> KernelChoice:
    """Return the first backend that is not among those tried, and its kernel."""
    names = [model.backend]
    if model.automatic:
        names = usable_backends(BACKENDS, model.device, model.precision)
    for name in names:
        if name in tried:
            continue
        factory = BACKENDS[name].factory
        try:
            return name, factory(
                model.parameters, symbols, model.device, model.precision, model.threads
            )
        except Exception as error:  # whatever a compiler or a driver may raise
            if not (model.automatic and BACKENDS[name].compared):
                raise
            warn(
                _LOGGER,
                f"the backend {name!r} on {model.device} cannot start ({first_line(error)})",
            )
    raise ModelError(
        f"found no backend that works on {model.device}, tried: {', '.join(names)}; use another "
        "device"
    )
