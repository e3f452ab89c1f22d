"""Compare features and labels of a small and a large bilayer, from two data sets.

Build both first with the same solutes, for example ten dimers from apolar to polar:

    nnpmm permeation dataset build --solutes C1-C1,...  --set lipids_per_leaflet=32 -o small
    nnpmm permeation dataset build --solutes C1-C1,...  --set lipids_per_leaflet=64 -o large
    python benchmarks/permeation_size.py small large

Labels are compared as free energies at the midplane relative to the first solute, by MBAR over the
common solutes of each set, since the water phase does not depend on the size. RMSDs grow with time
and depend on the undulations that a size allows, so that they may differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import write_results
from permeation_lipids import mean_and_error
from rich.console import Console
from rich.table import Table

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.permeation.dataset.folder import load_features, read_settings
from nnpmm.permeation.features import FEATURES, WATER_FEATURES, Feature
from nnpmm.permeation.labels.linear import read_samples, relative_free_energies


def compare_features(
    folders: Sequence[Path], columns: Sequence[tuple[int, Feature]]
) -> dict[tuple[str, str], dict[str, float]]:
    """Return large minus small in sigmas, by lipid and solute, over equally many frames."""
    tables = []
    for found in map(load_features, folders):
        keys = zip(found.lipids, found.solutes, strict=True)
        tables.append(dict(zip(keys, found.features, strict=True)))
    frames = min(len(next(iter(table.values()))) for table in tables)
    sigmas = {}
    for key in tables[0].keys() & tables[1].keys():
        row = {}
        for n, feature in columns:
            (a, da), (b, db) = (mean_and_error(table[key][:frames, n]) for table in tables)
            row[feature.name] = (b - a) / np.hypot(da, db)
        sigmas[key] = row
    return dict(sorted(sigmas.items()))


def compare_labels(
    folders: Sequence[Path], lipid: str, solutes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return relative free energies at the midplane of both, and their difference, kcal/mol."""
    temperature = read_settings(folders[0]).protocol.temperature
    values, errors = [], []
    for folder in folders:
        recorded = [s for s in read_samples(folder, lipid, solutes[0]) if s.solute in solutes]
        found = relative_free_energies(recorded, solutes, temperature)
        chosen = [found.solutes.index(name) for name in solutes]
        values.append(found.differences[chosen[0], chosen] / KJ_PER_KCAL)
        errors.append(found.errors[chosen[0], chosen] / KJ_PER_KCAL)
    error = np.hypot(*errors)
    return {
        name: {"small": a, "large": b, "difference": b - a, "error": e}
        for name, a, b, e in zip(solutes, *values, error, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    options = parser.parse_args()
    folders = (options.small, options.large)
    columns = [(n, f) for n, f in enumerate(FEATURES) if f not in WATER_FEATURES]
    sigmas = compare_features(folders, columns)
    names = [f.name for _, f in columns]
    table = Table("lipid", "solute", *names, title="large - small, in sigmas")
    for key, row in sigmas.items():
        table.add_row(*key, *(f"{row[name]:+.1f}" for name in names))
    Console().print(table)
    rms = {name: float(np.sqrt(np.mean([r[name] ** 2 for r in sigmas.values()]))) for name in names}
    print("root mean square of each column (1 if equal within errors):", rms)
    labels = {}
    for lipid in dict.fromkeys(lipid for lipid, _ in sigmas):
        solutes = [solute for name, solute in sigmas if name == lipid]
        labels[lipid] = compare_labels(folders, lipid, solutes)
        table = Table("solute", "small", "large", "difference", title=f"{lipid}, kcal/mol")
        for solute, row in labels[lipid].items():
            difference = f"{row['difference']:+.2f} ± {row['error']:.2f}"
            table.add_row(solute, f"{row['small']:.2f}", f"{row['large']:.2f}", difference)
        Console().print(table)
    protocols = [read_settings(f).protocol.model_dump(mode="json") for f in folders]
    results = {
        "protocols": protocols,
        "sigmas": {"/".join(key): row for key, row in sigmas.items()},
        "rms": rms,
        "labels": labels,
    }
    print(write_results("permeation_size", results))


if __name__ == "__main__":
    main()
