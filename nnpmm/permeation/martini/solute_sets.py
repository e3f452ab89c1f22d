"""Lists of solutes: all monomers or dimers, random trimers, or the lines of a file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError, shortened
from nnpmm.permeation.martini.solute import canonical_chain, canonical_graph, dimers
from nnpmm.permeation.martini.tables import NEUTRAL_BEADS

__all__ = ["list_solutes", "trimers"]

_ALLOWED = "monomers, dimers, trimers:N, a .csv file, or graphs"
_TRIMERS = re.compile(r"^trimers:(\d+)$")


def trimers(count: int, *, seed: int = 1) -> list[str]:
    """Return different linear trimers of neutral beads, drawn at random.

    Raises:
        ConfigError: there are not so many.
    """
    every = sorted(
        {
            canonical_chain((a, b, c))
            for a in NEUTRAL_BEADS
            for b in NEUTRAL_BEADS
            for c in NEUTRAL_BEADS
        }
    )
    if not 1 <= count <= len(every):
        raise ConfigError(f"found trimers:{count}, allowed: 1 to {len(every)}")
    chosen = np.random.default_rng(seed).choice(len(every), size=count, replace=False)
    return [every[n] for n in chosen]


def list_solutes(request: str) -> list[str]:
    """Return the solutes that a request names, each once, written in the usual order of beads.

    Args:
        request: ``monomers`` or ``dimers`` (all of them), ``trimers:50``, a CSV file whose first
            column (or column ``solute``) contains graphs, or graphs divided by commas, such as
            ``C1-P4,C3-N0``.

    Raises:
        NnpmmError: the request, a graph or the file is not usable.
    """
    if request == "monomers":
        return list(reversed(NEUTRAL_BEADS))
    if request == "dimers":
        return dimers()
    match = _TRIMERS.match(request)
    if match is not None:
        return trimers(int(match.group(1)))
    graphs = _read_column(Path(request)) if request.endswith(".csv") else request.split(",")
    try:
        graphs = [canonical_graph(graph) for graph in graphs if graph.strip()]
    except ForceFieldError as error:
        raise type(error)(f"solutes {request!r}: {error} (allowed: {_ALLOWED})") from None
    if not graphs:
        raise ConfigError(f"found no solutes in {request!r}, allowed: {_ALLOWED}")
    return list(dict.fromkeys(graphs))


def _read_column(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(
            f"{path}: cannot read the list of solutes: {shortened(error)}"
        ) from error
    if rows and "solute" in rows[0]:
        column = rows[0].index("solute")
        return [row[column] for row in rows[1:] if len(row) > column]
    return [row[0] for row in rows]
