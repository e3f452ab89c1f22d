"""Draw the layers of subpackages that tests/test_house.py defines, for CONTRIBUTING.md.

python benchmarks/layers.py docs/images/layers.png
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


def read_layers() -> list[list[str]]:
    """Return the subpackages of each layer, the highest first."""
    tree = ast.parse((ROOT / "tests/test_house.py").read_text())
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    ]
    layers = [
        [name for name in layer if name not in _LEFT_OUT] for layer in ast.literal_eval(value)
    ]
    return [layer for layer in layers if layer]


def summary(package: str) -> str:
    """Return the first sentence of a subpackage's docstring."""
    path = ROOT / "nnpmm" / package / "__init__.py"
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.splitlines()[0].rstrip(".").replace("`", "")


def main(path: str) -> None:
    layers = read_layers()
    figure = create_figure(9.6, 0.58 * len(layers) + 0.2)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set(xlim=(-2.5, 100), ylim=(-len(layers), 0.15))
    for level, layer in enumerate(layers):
        width = 100 / len(layer)
        for place, package in enumerate(layer):
            left = place * width
            box = FancyBboxPatch(
                (left + 0.6, -level - 0.84), width - 1.2, 0.72,
                boxstyle="round,pad=0,rounding_size=0.4", mutation_aspect=0.1,
                facecolor="#eef4fa", edgecolor=BLUE, linewidth=0.9,
            )  # fmt: skip
            axes.add_patch(box)
            text = summary(package)
            middle = left + 0.5 * width
            if len(layer) == 1:
                axes.text(
                    *(2.2, -level - 0.48, package),
                    fontsize=TEXT + 1, weight="bold", va="center",
                )  # fmt: skip
                axes.text(17, -level - 0.48, text, fontsize=SMALL, va="center", color="#333333")
            else:
                axes.text(
                    *(middle, -level - 0.27, package),
                    fontsize=TEXT + 1, weight="bold", ha="center", va="center",
                )  # fmt: skip
                lines = textwrap.fill(text, width=int(1.65 * width))
                axes.text(
                    *(middle, -level - 0.61, lines),
                    fontsize=6.5, ha="center", va="center", color="#333333", linespacing=1.0,
                )  # fmt: skip
    axes.annotate(
        "", (-1.2, -len(layers) + 0.2), (-1.2, -0.2), annotation_clip=False,
        arrowprops={"arrowstyle": "-|>", "color": GREY},
    )  # fmt: skip
    figure.savefig(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
