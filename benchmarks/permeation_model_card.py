"""Write the tables of docs/permeation-model.md from the card of the model that nnpmm ships.

Run: python benchmarks/permeation_model_card.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from common import ROOT

from nnpmm.permeation.networks.model_card import PermeationCard
from nnpmm.permeation.networks.regressor import load_default_regressor

#: The line below the head of the table of metrics.
RULE = "| --- " * 7 + "|"
PAGE = ROOT / "docs" / "permeation-model.md"


def facts(card: PermeationCard) -> dict[str, str]:
    """Return the facts about the data by the first cell of their row."""
    parts = {"train": "training", "validation": "validation", "test": "test"}
    samples = {part: getattr(card.data, part) for part in parts}
    every = [name for names in samples.values() for name in names]
    lipids = Counter(name.split("/")[0] for name in every)
    counts = ", ".join(f"{count} in {lipid}" for lipid, count in sorted(lipids.items()))
    divided = ", ".join(f"{len(samples[part])} {name}" for part, name in parts.items())
    return {
        "data": f"{len(every)} samples: {counts}; {card.data.frames} frames each",
        "split": f"{card.training.split}, seed {card.training.seed}: {divided}",
        "digest of the samples": f"`{card.data.sha256[:16]}`",
    }


def metrics_rows(card: PermeationCard) -> Iterator[str]:
    """Yield the rows of the table of metrics."""
    for part, m in card.metrics.items():
        numbers = (m.mae, m.rmse, m.largest, m.r2, m.spearman)
        cells = ["-" if x is None else f"{x:.3f}" for x in numbers]
        yield f"| {part} | {m.samples} | {' | '.join(cells)} |"


def main() -> None:
    """Replace the tables in the page."""
    card = load_default_regressor().card
    text = PAGE.read_text()
    for name, fact in facts(card).items():
        text = re.sub(rf"^\| {name} \|.*$", f"| {name} | {fact} |", text, flags=re.M)
    start = text.index("\n", text.index(RULE)) + 1
    end = text.index("\n\n", start)
    PAGE.write_text(text[:start] + "\n".join(metrics_rows(card)) + text[end:])


if __name__ == "__main__":
    main()
