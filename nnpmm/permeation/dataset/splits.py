"""Groups by which samples of permeation are split, and the published sizes of the parts."""

from __future__ import annotations

from collections.abc import Sequence

from nnpmm.permeation.martini.solute import parse_solute

__all__ = ["PUBLISHED_SHARES", "split_groups"]

#: Training, validation and test samples, out of 630 (Dutta et al., Digital Discovery 2023).
PUBLISHED_SHARES = (510, 57, 63)


def split_groups(
    lipids: Sequence[str], solutes: Sequence[str]
) -> dict[str, Sequence[str] | Sequence[frozenset[str]]]:
    """Return the groups of samples of permeation for ``nnpmm.learning.make_split``.

    They allow the requests ``random``; ``solute``, which keeps the samples of a solute together;
    ``lipid:DOPC``, which leaves out lipids; and ``beads:C1,P4``, which leaves out every solute with
    one of these beads.

    Args:
        lipids: (samples,) of the samples.
        solutes: (samples,) graphs of the samples.
    """
    types = [frozenset(bead.type for bead in parse_solute(graph).beads) for graph in solutes]
    return {"solute": solutes, "lipid": lipids, "beads": types}
