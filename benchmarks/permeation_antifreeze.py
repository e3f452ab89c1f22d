"""Compare each bead's mean energy with water and its free energy in water, to explain P4.

Antifreeze has larger beads towards P4 only. P4 therefore deviates from the curve of the other
types, which a network cannot learn from energies alone.

Run: python benchmarks/permeation_antifreeze.py data/permeation-monomers
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from common import save_image, write_results

from nnpmm.permeation.dataset.folder import WATER, load_features, read_settings
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.labels.linear import read_samples, relative_free_energies
from nnpmm.plots import style

OUTLIER, NEIGHBOURS = "P4", ("P3", "P5")


def mean_energies(folder: Path) -> dict[str, float]:
    """Return the mean energy of each bead with water, kJ/mol."""
    found = load_features(folder)
    columns = found.features[:, :, FEATURE_NAMES.index("lj-mol-wat")].mean(axis=1)
    return dict(zip(found.solutes, columns.tolist(), strict=True))


def free_energies(folder: Path, like: str) -> dict[str, tuple[float, float]]:
    """Return the free energy of each bead in water relative to one bead, and its error, kJ/mol."""
    temperature = read_settings(folder).protocol.temperature
    found = relative_free_energies(read_samples(folder, WATER, like), [], temperature)
    origin = found.solutes.index(like)
    rows = zip(found.differences[origin], found.errors[origin], strict=True)
    return {bead: (float(g), float(s)) for bead, (g, s) in zip(found.solutes, rows, strict=True)}


def draw(energies: Mapping[str, float], free: Mapping[str, tuple[float, float]]) -> None:
    """Draw one point per bead; beads with the same free energy share a label."""
    figure, (axes,) = style.create_panels(width=5.5, height=4.2)
    levels: dict[float, list[str]] = {}
    for bead, (value, error) in free.items():
        colour = style.RED if bead == OUTLIER else style.BLUE
        axes.errorbar(energies[bead], value, 2.0 * error, fmt="o", color=colour, ms=4)
        levels.setdefault(value, []).append(bead)
    for value, beads in levels.items():
        place = max(energies[bead] for bead in beads), value
        offset = (-6, 8) if OUTLIER in beads else (6, -12)
        axes.annotate(
            ", ".join(beads), place, offset, textcoords="offset points", fontsize=style.SMALL
        )
    axes.margins(x=0.08)
    style.dress(
        axes,
        xlabel="mean energy with water / (kJ/mol)",
        ylabel="free energy in water / (kJ/mol)",
    )
    save_image(figure, "permeation_antifreeze")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    energies, free = mean_energies(folder), free_energies(folder, "C1")
    for bead in sorted(free, key=lambda name: free[name][0]):
        value, error = free[bead]
        print(f"{bead:4s} energy {energies[bead]:7.2f}, free energy {value:7.2f} ± {error:.2f}")
    ends = np.array(sorted((energies[bead], free[bead][0]) for bead in NEIGHBOURS))
    line = float(np.interp(energies[OUTLIER], ends[:, 0], ends[:, 1]))
    print(f"{OUTLIER}: {free[OUTLIER][0] - line:+.2f} from the line between {NEIGHBOURS}")
    draw(energies, free)
    record = {
        "unit": "kJ/mol, free energies relative to C1, with errors",
        "mean_energy_with_water": energies,
        "free_energy_in_water": free,
        "p4_minus_line_from_p3_to_p5": free[OUTLIER][0] - line,
    }
    print(write_results("permeation_antifreeze", record))


if __name__ == "__main__":
    main()
