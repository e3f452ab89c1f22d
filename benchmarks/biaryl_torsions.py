"""Compare torsion profiles of five biaryls with their quantum-chemical energies.

The potentials are the networks, GAFF2 with AM1-BCC charges from AmberTools, the force field of
nnpmm's own parameters, and the same force field refitted to ANI-2x. Each one is relaxed from the
quantum-chemical geometries with the torsion fixed. The published mean absolute deviations of ANI-2x
for biaryls are 0.5 kcal/mol over the profile and 1.0 kcal/mol for the barriers.

python benchmarks/biaryl_torsions.py
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import data_folder, save_image, write_results
from rdkit import Chem

import nnpmm
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.plots import style
from nnpmm.structures import parameterize
from nnpmm.torsions import (
    TorsionScan,
    bond_of_torsion,
    energies_along,
    fit_torsions,
    relax_along,
    valence_terms,
)
from nnpmm.torsions.fitting import bind_force_field
from nnpmm.torsions.profiles import barrier_heights, compare_profiles, relative, rotamers

NETWORKS = ("ANI-2x", "ANI-1ccx", "AIMNet2")
FITTED_TO = "ANI-2x"
FILE = "biaryl-torsions/rowley-biaryl-torsiondrive.json"
COLORS = {
    "ANI-2x": style.BLUE,
    "ANI-1ccx": style.GREEN,
    "AIMNet2": style.PURPLE,
    "GAFF2": style.GREY,
    "force field": style.RED,
    "refitted": style.ORANGE,
}


def main() -> None:
    logging.disable(logging.WARNING)
    molecules = []
    for molecule, scan in reference_scans():
        profiles = calculated(molecule, scan)
        molecules.append(
            {
                "smiles": Chem.MolToSmiles(Chem.RemoveHs(molecule)),
                "torsion": list(scan.bonds[0].torsion),
                "angles_degrees": scan.angles.tolist(),
                "quantum_chemistry": kcal(scan.energies[0]),
                "profiles": {name: kcal(energies) for name, energies in profiles.items()},
                "errors": {
                    name: errors(scan.energies[0], energies) for name, energies in profiles.items()
                },
                "refitted_to_network": errors(profiles[FITTED_TO], profiles["refitted"]),
            }
        )
        print(molecules[-1]["smiles"], flush=True)
    table = summary([each["errors"] for each in molecules])
    fitted = summary([{"refitted": each["refitted_to_network"]} for each in molecules])
    print(f"\n{'kcal/mol':<30}{'profile':>14}{'from minimum':>16}{'barriers':>16}")
    for name, row in [*table.items(), ("refitted, to ANI-2x", fitted["refitted"])]:
        cells = (f"{row[key]['mean']:.2f} ± {row[key]['error']:.2f}" for key in row)
        print(f"{name:<30}" + "".join(f"{cell:>15}" for cell in cells))
    results = {
        "unit": "kcal/mol",
        "mean_absolute_errors": table,
        "refitted_to_network": fitted["refitted"],
        "molecules": molecules,
    }
    print(write_results("biaryl_torsions", results))
    plot(molecules)


def reference_scans() -> Iterator[tuple[Chem.Mol, TorsionScan]]:
    """Yield molecules with their quantum-chemical scans; the file is in angstrom and kcal/mol."""
    stored = json.loads((data_folder() / FILE).read_text())
    parser: Any = Chem.SmilesParserParams()  # its stubs do not allow setting removeHs
    parser.removeHs = False
    for entry in stored["qm_torsions"]:
        mapped = Chem.MolFromSmiles(entry["mapped_smiles"], parser)
        order = np.argsort([atom.GetAtomMapNum() for atom in mapped.GetAtoms()])
        molecule = Chem.RenumberAtoms(mapped, [int(index) for index in order])
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum(0)
        angles = np.array(sorted(map(float, entry["coordinates"])))
        keys = [str(angle) for angle in angles]
        positions = np.array([entry["coordinates"][key] for key in keys]).reshape(
            len(keys), molecule.GetNumAtoms(), 3
        )
        conformer = Chem.Conformer(molecule.GetNumAtoms())
        molecule.AddConformer(conformer)
        molecule.GetConformer().SetPositions(positions[0])
        bond = bond_of_torsion(molecule, tuple(entry["dihedral_indices"]))
        energies = np.array([entry["energies"][key] for key in keys]) * KJ_PER_KCAL
        nothing = np.zeros((1, len(angles)))
        yield (
            molecule,
            TorsionScan((bond,), angles, energies[None], positions[None] / 10, nothing, 0),
        )


def calculated(molecule: Chem.Mol, scan: TorsionScan) -> dict[str, np.ndarray]:
    """Return the profile (a,) of each potential, kJ/mol."""
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    terms, profiles = valence_terms(molecule), {}
    for name in NETWORKS:
        network = nnpmm.load_model(name).bind(numbers)
        relaxed = relax_along(network, scan, terms)
        profiles[name] = relaxed.energies[0]
        profiles[f"{name}, not relaxed"] = energies_along(network, scan)[0]
        if name == FITTED_TO:
            learned = relaxed
    parameters = parameterize(molecule, provider="fallback")
    refit = fit_torsions(molecule, parameters, learned)
    force_fields = {
        "GAFF2": parameterize(molecule, provider="amber"),
        "force field": parameters,
        "refitted": refit.parameters,
    }
    for name, each in force_fields.items():
        profiles[name] = relax_along(bind_force_field(molecule, each), learned, terms).energies[0]
    return profiles


def errors(reference: np.ndarray, energies: np.ndarray) -> dict[str, float]:
    """Return mean absolute errors of a profile and of its barriers, kcal/mol."""
    found = compare_profiles(reference, energies)
    minima = rotamers(reference)
    barriers = barrier_heights(energies, minima) - barrier_heights(reference, minima)
    values = found.mae, found.mae_from_minimum, float(np.abs(barriers).mean())
    names = "profile", "profile_from_minimum", "barriers"
    return {name: value / KJ_PER_KCAL for name, value in zip(names, values, strict=True)}


def summary(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return means over the molecules with their standard errors."""
    table: dict[str, dict[str, Any]] = {}
    for name in rows[0]:
        table[name] = {}
        for key in rows[0][name]:
            values = np.array([row[name][key] for row in rows])
            error = float(values.std(ddof=1) / np.sqrt(len(values)))
            table[name][key] = {"mean": float(values.mean()), "error": error}
    return table


def kcal(energies: np.ndarray) -> list[float]:
    """Return energies relative to the lowest one, kcal/mol."""
    return [round(float(value), 4) for value in relative(energies) / KJ_PER_KCAL]


def plot(molecules: list[dict[str, Any]]) -> None:
    """Draw one panel per molecule: points for quantum chemistry, lines for the potentials."""
    figure, panels = style.create_panels(2, 3, width=9.6, height=5.6)
    for axes, each in zip(panels, molecules, strict=False):
        angles = np.array(each["angles_degrees"])
        closed = np.append(angles[-1] - 360, angles)
        for name, color in COLORS.items():
            values = np.array(each["profiles"][name])
            dashes = "--" if name == "refitted" else "-"
            axes.plot(
                closed, np.append(values[-1], values), dashes, color=color, lw=1.2, label=name
            )
        values = np.array(each["quantum_chemistry"])
        axes.plot(
            *(closed, np.append(values[-1], values), "o"),
            color=style.BLACK, ms=3, label="quantum chemistry",
        )  # fmt: skip
        axes.set_xticks(range(-180, 181, 90))
        axes.set_ylim(bottom=-0.1)
        style.dress(
            *(axes,), xlabel="torsion / degrees", ylabel="energy / (kcal/mol)",
            title=each["smiles"],
        )  # fmt: skip
    handles, labels = panels[0].get_legend_handles_labels()
    panels[-1].axis("off")
    panels[-1].texts[0].set_visible(False)
    panels[-1].legend(handles, labels, loc="center", frameon=False, fontsize=style.TEXT)
    save_image(figure, "biaryl-torsions")


if __name__ == "__main__":
    main()
