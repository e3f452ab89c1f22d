"""Versions of installed packages."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed_version"]


def installed_version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed; nothing is imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
