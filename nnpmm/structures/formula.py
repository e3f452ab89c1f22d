"""Molecular formulas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["hill_formula"]


def hill_formula(symbols: Iterable[str]) -> str:
    """Return the formula in Hill's order: carbon, hydrogen, then the rest alphabetically.

    Without carbon, all elements are in alphabetical order.

    >>> hill_formula(["O", "H", "C", "H", "H", "H"])
    'CH4O'
    """
    counts = Counter(symbols)
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    rest = sorted(set(counts) - set(first))
    return "".join(f"{s}{counts[s] if counts[s] > 1 else ''}" for s in (*first, *rest))
