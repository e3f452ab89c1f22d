"""Settings of a file together with those of the command line."""

from __future__ import annotations

from typing import Any

__all__ = ["merged"]


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings, those of the second in place of the first's."""
    found = dict(first)
    for name, value in second.items():
        old = found.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        found[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return found
