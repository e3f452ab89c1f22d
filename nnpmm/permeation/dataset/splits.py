"""The groups that samples of permeation are split by, and the published shares."""

from __future__ import annotations

from collections.abc import Sequence

from nnpmm.permeation.martini.solute import parse_solute

__all__ = ["PUBLISHED_SHARES", "split_groups"]

#: Of 630 samples: training, validation, test (Dutta et al., Digital Discovery 2023).
PUBLISHED_SHARES = (510, 57, 63)


def split_groups(
    lipids: Sequence[str], solutes: Sequence[str]
) -> dict[str, Sequence[str] | Sequence[frozenset[str]]]:
    """Return the groups that ``nnpmm.learning.make_split`` knows samples of permeation by.

    A request is ``random``; ``solute``, all samples of a solute on one side; ``lipid:DOPC``, leave
    lipids out; ``beads:C1,P4``, leave out every solute with one of these beads.

    Args:
        lipids: (samples,) of the samples.
        solutes: (samples,) graphs of the samples.
    """
    types = [frozenset(bead.type for bead in parse_solute(graph).beads) for graph in solutes]
    return {"solute": solutes, "lipid": lipids, "beads": types}
