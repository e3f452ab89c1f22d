"""Objects that this process has already, found again by its key when a System is copied.

OpenMM copies a PythonForce by pickling its function. The pickle carries a key, and whoever reads it
in the same process gets the object itself, which nothing changes after it was made. Keys of weights
are digests of their content. The objects are referred to weakly: they go with their last user.
"""

from __future__ import annotations

import uuid
import weakref
from typing import Any

__all__ = ["new_key", "recall", "remember"]

_objects: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def new_key() -> str:
    """Return a key for an object whose content has no digest; no other process has the same."""
    return uuid.uuid4().hex


def remember(key: str, value: object) -> None:
    """Keep a weak reference; an object that is known by this key already stays."""
    _objects.setdefault(key, value)


def recall(key: str) -> Any:
    """Return the object of a key, or None if this process does not hold it (any more)."""
    return _objects.get(key)
