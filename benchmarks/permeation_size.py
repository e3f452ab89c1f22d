"""Are the features of a small bilayer those of a large one? Compares two data sets.

Build both first, with the same solutes, for example ten dimers from apolar to polar:

    nnpmm permeation dataset build --solutes C1-C1,...  --set lipids_per_leaflet=32 -o small
    nnpmm permeation dataset build --solutes C1-C1,...  --set lipids_per_leaflet=64 -o large
    python benchmarks/permeation_size.py small large

RMSDs depend on the time that a bilayer of a size takes to undulate, so that they may differ.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import write_results
from permeation_lipids import mean_and_error
from rich.console import Console
from rich.table import Table

from nnpmm.permeation.dataset import load_features
from nnpmm.permeation.features import FEATURES, WATER_FEATURES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("small")
    parser.add_argument("large")
    options = parser.parse_args()
    sets = [load_features(folder) for folder in (options.small, options.large)]
    by_key = [
        dict(zip(zip(s.lipids, s.solutes, strict=True), s.features, strict=True)) for s in sets
    ]
    keys = [key for key in by_key[0] if key in by_key[1]]
    columns = [(n, f) for n, f in enumerate(FEATURES) if f not in WATER_FEATURES]
    table = Table(
        "lipid", "solute", *(f.name for _, f in columns), title="large - small, in sigmas"
    )
    sigmas = {}
    for key in keys:
        row = []
        for n, _ in columns:
            (a, da), (b, db) = (mean_and_error(data[key][:, n]) for data in by_key)
            row.append((b - a) / np.hypot(da, db))
        sigmas["/".join(key)] = dict(zip((f.name for _, f in columns), row, strict=True))
        table.add_row(*key, *(f"{value:+.1f}" for value in row))
    Console().print(table)
    rms = {
        f.name: float(np.sqrt(np.mean([row[f.name] ** 2 for row in sigmas.values()])))
        for _, f in columns
    }
    print("root mean square of each column (1 if equal within errors):", rms)
    print(write_results("permeation_size", {"sigmas": sigmas, "rms": rms}))


if __name__ == "__main__":
    main()
