"""Draw the rooms of the package, as tests/test_house.py orders them, for CONTRIBUTING.md.

python benchmarks/rooms.py docs/images/rooms.png
"""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

from matplotlib.patches import FancyBboxPatch

from nnpmm.plots.style import BLUE, GREY, SMALL, TEXT, create_figure

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = {"_version", "diagnosis"}


def rooms() -> list[list[str]]:
    """Return the rooms of each floor, the highest first."""
    tree = ast.parse((ROOT / "tests/test_house.py").read_text())
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    ]
    floors = [
        [name for name in floor if name not in _LEFT_OUT] for floor in ast.literal_eval(value)
    ]
    return [floor for floor in floors if floor]


def summary(room: str) -> str:
    """Return the first sentence of a package's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / "nnpmm" / room / "__init__.py").read_text())) or ""
    return text.splitlines()[0].rstrip(".").replace("`", "")


def main(path: str) -> None:
    floors = rooms()
    figure = create_figure(9.6, 0.58 * len(floors) + 0.2)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set(xlim=(-2.5, 100), ylim=(-len(floors), 0.15))
    for level, floor in enumerate(floors):
        width = 100 / len(floor)
        for place, room in enumerate(floor):
            left = place * width
            box = FancyBboxPatch(
                (left + 0.6, -level - 0.84), width - 1.2, 0.72,
                boxstyle="round,pad=0,rounding_size=0.4", mutation_aspect=0.1,
                facecolor="#eef4fa", edgecolor=BLUE, linewidth=0.9,
            )  # fmt: skip
            axes.add_patch(box)
            text = summary(room)
            middle = left + 0.5 * width
            if len(floor) == 1:
                axes.text(2.2, -level - 0.48, room, fontsize=TEXT + 1, weight="bold", va="center")
                axes.text(17, -level - 0.48, text, fontsize=SMALL, va="center", color="#333333")
            else:
                axes.text(
                    *(middle, -level - 0.27, room),
                    fontsize=TEXT + 1, weight="bold", ha="center", va="center",
                )  # fmt: skip
                lines = textwrap.fill(text, width=int(1.65 * width))
                axes.text(
                    *(middle, -level - 0.61, lines),
                    fontsize=6.5, ha="center", va="center", color="#333333", linespacing=1.0,
                )  # fmt: skip
    axes.annotate(
        "", (-1.2, -len(floors) + 0.2), (-1.2, -0.2), annotation_clip=False,
        arrowprops={"arrowstyle": "-|>", "color": GREY},
    )  # fmt: skip
    figure.savefig(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
