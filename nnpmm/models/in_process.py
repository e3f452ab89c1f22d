"""Objects in the memory of this process, which copies of a System find again by a key.

OpenMM copies a PythonForce by pickling its function. The pickle contains a key, and unpickling it
in the same process returns the same object, which nothing modifies. The key of weights is a digest
of their content. References are weak: an object is freed when nothing else refers to it.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable
from typing import Any

from nnpmm.core.errors import ModelError, WeightsError

__all__ = ["new_key", "recall", "remember", "restored_parameters"]

_objects: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def new_key() -> str:
    """Return a key for an object whose content has no digest; no other process has the same."""
    return uuid.uuid4().hex


def remember(key: str, value: object) -> None:
    """Keep a weak reference to an object, unless the key has one already."""
    _objects.setdefault(key, value)


def recall(key: str) -> Any:
    """Return the object of a key, or None if it is not (or no longer) in memory."""
    return _objects.get(key)


def restored_parameters(
    name: str, digest: str, rebuild: tuple[Callable[..., Any], tuple[Any, ...]] | None
) -> Any:
    """Return the parameters of this digest: those in memory, or else read again.

    Args:
        name: of the model, for messages.
        digest: of its parameters.
        rebuild: a function and its arguments that give a model with them.

    Raises:
        ModelError: they were made in another process, or are gone from this one.
        WeightsError: what is read now has another digest.
    """
    parameters = recall(digest)
    if parameters is not None:
        return parameters
    if rebuild is None:
        raise ModelError(
            f"the parameters of this {name} were given in Python and are not in the memory of "
            "this process; create the model again and couple it again, or prepare a model.json"
        )
    function, arguments = rebuild
    parameters = function(*arguments).parameters
    if parameters.digest() != digest:
        raise WeightsError(
            f"{name}: the weights have changed since the system was written (digest "
            f"{parameters.digest()[:12]}, expected {digest[:12]}); couple the system again"
        )
    return parameters
