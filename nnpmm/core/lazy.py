"""Packages whose names are imported on first use (PEP 562).

Importing torch, OpenMM, rdkit and matplotlib takes seconds, and most uses need only some of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, sources: Mapping[str, str]) -> None:
    """Give a package ``__getattr__`` and ``__dir__`` that import its names on demand.

    The package does not assign them itself: to a type checker, a module with a ``__getattr__`` has
    every name, and one that is misspelt or gone would pass.

    Args:
        package: the package's ``__name__``.
        sources: public name -> module that defines it, or that is the name itself.
    """

    def __getattr__(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(sources[name])
        value = module if sources[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *sources})

    vars(sys.modules[package]).update(__getattr__=__getattr__, __dir__=__dir__)
