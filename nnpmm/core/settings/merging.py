"""Combine nested settings: dotted keys, and values that override others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnpmm.core.errors import ConfigError

__all__ = ["flattened", "merged", "nested"]


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings in which values of the second override the first."""
    result = dict(first)
    for name, value in second.items():
        old = result.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merged(old, value)
        result[name] = value
    return result


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings from dotted keys, such as ``ensemble.temperature``.

    Raises:
        ConfigError: a key has an empty part, or two keys contradict each other.
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        if not all([*sections, last]):
            raise ConfigError(
                f"found the key {key!r}, allowed: names of settings with dots between"
            )
        section = result
        for name in sections:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise ConfigError(f"found {key!r} and a value of {name!r} itself; give one of them")
        if last in section:
            raise ConfigError(f"found {key!r} and parts of it; give one of them")
        section[last] = dict(value) if isinstance(value, dict) else value
    return result


def flattened(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of nested settings with their values."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from flattened(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, data
