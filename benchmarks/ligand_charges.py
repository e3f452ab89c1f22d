"""Compare the providers' ligand charges and dipole moments with FreeSolv's AM1-BCC charges.

FreeSolv's charges are AM1-BCC from OpenEye. The dipole moments are those of the charges in
FreeSolv's geometries. The errors are standard errors from a bootstrap over the molecules. The
script needs AmberTools, whose results nnpmm keeps in its cache. It prints a table and writes
results/ligand_charges.json.
Usage: python benchmarks/ligand_charges.py [--data FOLDER] (FOLDER contains freesolv).
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np
from common import data_folder, write_results
from ligand_parameters import Comparison, compare_with_amber

from nnpmm.structures import molecule_from_smiles, parameterize
from nnpmm.structures.providers import Provider

PROVIDERS: tuple[tuple[Provider, str], ...] = (
    ("amber", "AM1-BCC of AmberTools"),
    ("amber-abcg2", "ABCG2 of AmberTools"),
    ("fallback", "MMFF94 of the fallback"),
)
RESAMPLES = 2000


def with_bootstrap(squares: list[np.ndarray]) -> tuple[float, float]:
    """Return the root mean square of all elements, and its standard error over the molecules."""
    sums = np.array([part.sum() for part in squares])
    counts = np.array([part.size for part in squares])
    rows = np.random.default_rng(1).integers(len(squares), size=(RESAMPLES, len(squares)))
    again = np.sqrt(sums[rows].sum(axis=1) / counts[rows].sum(axis=1))
    return float(np.sqrt(sums.sum() / counts.sum())), float(again.std(ddof=1))


def summary(provider: Provider, label: str, found: list[Comparison]) -> dict[str, object]:
    """Return the differences of one provider from FreeSolv."""
    differences = [c.charges - c.reference for c in found]
    dipoles = np.array([c.dipoles() for c in found])
    off = dipoles[:, 0] - dipoles[:, 1]
    rms, rms_error = with_bootstrap([d**2 for d in differences])
    dipole, dipole_error = with_bootstrap([np.array([d**2]) for d in off])
    largest = [float(np.abs(d).max()) for d in differences]
    worst = int(np.argmax(largest))
    others = [d**2 for row, d in enumerate(differences) if row != worst]
    by_molecule = np.array([np.sqrt((d**2).mean()) for d in differences])
    return {
        "provider": provider,
        "label": label,
        "parameters": parameterize(molecule_from_smiles("CO"), provider=provider).provider,
        "molecules": len(found),
        "atoms": int(sum(len(d) for d in differences)),
        "charge_rmse_e": round(rms, 4),
        "charge_rmse_error_e": round(rms_error, 4),
        "charge_median_molecule_rms_e": round(float(np.median(by_molecule)), 4),
        "molecules_within_0.005_e": int((by_molecule < 0.005).sum()),
        "charge_max_e": round(largest[worst], 3),
        "charge_max_molecule": found[worst].name,
        "charge_rmse_without_it_e": round(with_bootstrap(others)[0], 4),
        "charge_rmse_without_it_error_e": round(with_bootstrap(others)[1], 4),
        "dipole_rmse_debye": round(dipole, 3),
        "dipole_rmse_error_debye": round(dipole_error, 3),
        "dipole_mean_difference_debye": round(float(off.mean()), 3),
        "dipole_correlation": round(float(np.corrcoef(dipoles.T)[0, 1]), 4),
        "by_molecule": {
            c.name: {"charge_rms_e": round(float(np.sqrt((d**2).mean())), 4),
                     "dipole_debye": round(float(p[0]), 3),
                     "dipole_freesolv_debye": round(float(p[1]), 3)}
            for c, d, p in zip(found, differences, dipoles, strict=True)
        },
    }  # fmt: skip


def print_table(rows: list[dict[str, object]]) -> None:
    """Print the table of the providers."""
    header = (
        "charges",
        "RMSE/e",
        "without the worst/e",
        "median/e",
        "max/e",
        "dipole RMSE/D",
        "mean/D",
        "r",
    )
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for row in rows:
        cells = (
            row["label"],
            f"{row['charge_rmse_e']} ± {row['charge_rmse_error_e']}",
            f"{row['charge_rmse_without_it_e']} ± {row['charge_rmse_without_it_error_e']}",
            row["charge_median_molecule_rms_e"],
            row["charge_max_e"],
            f"{row['dipole_rmse_debye']} ± {row['dipole_rmse_error_debye']}",
            row["dipole_mean_difference_debye"],
            row["dipole_correlation"],
        )
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data_folder())
    folder = parser.parse_args().data / "freesolv"
    if not folder.is_dir():
        raise SystemExit(f"found no folder {folder}; give the data folder with --data")
    logging.getLogger("nnpmm.structures.ligands").setLevel(logging.ERROR)
    database = json.loads((folder / "database-subset.json").read_text())
    rows = []
    for provider, label in PROVIDERS:
        begin, found = time.perf_counter(), []
        for name, entry in sorted(database.items()):
            path = folder / f"amber/{name}.prmtop"
            found.append(compare_with_amber(name, entry["smiles"], path, provider))
        print(f"{label}: {time.perf_counter() - begin:.0f} s", flush=True)
        rows.append(summary(provider, label, found))
    print_table(rows)
    print(write_results("ligand_charges", rows))


if __name__ == "__main__":
    main()
