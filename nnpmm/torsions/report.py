"""The output of a scan: numbers, tables, pictures, geometries, and a report page."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.plots import plot_torsion_profiles
from nnpmm.plots.page import Page
from nnpmm.plots.saving import save_figure
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.profiles import (
    FLAGGED,
    ProfileErrors,
    compare_profiles,
    maxima,
    relative,
    rotamers,
)

if TYPE_CHECKING:
    from nnpmm.torsions.workflow import ScanResult

__all__ = [
    "bond_errors",
    "depict_bond",
    "flagged_bonds",
    "profile_figure",
    "write_results",
]

_FORCE_FIELD, _REFERENCE = "force field", "reference"
_REPORTED_HYSTERESIS = 1.0  # kJ/mol; smaller values are not in the caption


def write_results(directory: Path, result: ScanResult) -> None:
    """Write tables, pictures, geometries and the report of a scan.

    Args:
        directory: output folder.
        result: result of the scan.

    Raises:
        UnwritableError: a file cannot be written.
    """
    write_atomically(directory / "result.json", json.dumps(_record(result), indent=1) + "\n")
    write_atomically(directory / "profiles.csv", _table(result))
    for place, bond in enumerate(result.scan.bonds):
        save_figure(profile_figure(result, place), directory / f"bond-{bond.name}")
        write_atomically(directory / f"bond-{bond.name}.sdf", _geometries(result, place))
    write_atomically(directory / "report.html", _page(result).text())


def bond_errors(result: ScanResult, place: int) -> dict[str, ProfileErrors]:
    """Return the differences of a bond's profiles from the reference, or else from the network.

    Args:
        result: result of a scan.
        place: index of the bond.
    """
    base = _base(result, place)
    return {
        name: compare_profiles(result.profiles[base][place], energies[place])
        for name, energies in result.profiles.items()
        if name not in (base, _REFERENCE)
    }


def flagged_bonds(result: ScanResult) -> list[tuple[RotatableBond, float]]:
    """Return the bonds with a rotamer whose energies by force field and network disagree.

    Each has the largest difference at a rotamer, kJ/mol, which is more than `FLAGGED`.
    """
    if _FORCE_FIELD not in result.profiles:
        return []
    pairs = zip(result.profiles[result.network], result.profiles[_FORCE_FIELD], strict=True)
    errors = [compare_profiles(network, other).rotamer for network, other in pairs]
    return [(b, e) for b, e in zip(result.scan.bonds, errors, strict=True) if e > FLAGGED]


def profile_figure(result: ScanResult, place: int) -> Figure:
    """Return the picture of a bond's profiles."""
    bond = result.scan.bonds[place]
    shown = {
        name: energies[place] / KJ_PER_KCAL
        for name, energies in result.profiles.items()
        if np.isfinite(energies[place]).any()
    }
    torsion = "-".join(map(str, bond.torsion))
    return plot_torsion_profiles(
        result.scan.angles,
        shown,
        dashed=(result.unrelaxed,),
        points=(_REFERENCE,),
        title=f"{bond.name}, torsion {torsion}",
    )


def depict_bond(molecule: Chem.Mol, bonds: tuple[RotatableBond, ...]) -> str:
    """Return a drawing of the molecule as SVG, with atom numbers and the bonds in color.

    Hydrogens are shown where a bond's torsion needs them.
    """
    needed = {atom for bond in bonds for atom in bond.torsion}
    flat = Chem.RWMol(molecule)
    for atom in flat.GetAtoms():
        atom.SetProp("atomNote", str(atom.GetIdx()))
        atom.SetIntProp("_index", atom.GetIdx())
    for atom in reversed(list(flat.GetAtoms())):
        if atom.GetAtomicNum() == 1 and atom.GetIdx() not in needed:
            flat.RemoveAtom(atom.GetIdx())
    drawn = flat.GetMol()
    drawn.RemoveAllConformers()
    Chem.SanitizeMol(drawn)
    place = {atom.GetIntProp("_index"): atom.GetIdx() for atom in drawn.GetAtoms()}
    chosen = [drawn.GetBondBetweenAtoms(*(place[i] for i in b.atoms)).GetIdx() for b in bonds]
    canvas = rdMolDraw2D.MolDraw2DSVG(420, 260)
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, drawn, highlightAtoms=[], highlightBonds=chosen)
    canvas.FinishDrawing()
    return str(canvas.GetDrawingText())


def _base(result: ScanResult, place: int) -> str:
    known = result.profiles.get(_REFERENCE)
    return result.network if known is None or np.isnan(known[place]).all() else _REFERENCE


def _record(result: ScanResult) -> dict[str, Any]:
    flagged = {bond.name for bond, _ in flagged_bonds(result)}
    return {
        "smiles": Chem.MolToSmiles(Chem.RemoveHs(result.molecule)),
        "network": result.network,
        "parameters": None if result.parameters is None else result.parameters.provider,
        "unit": "kJ/mol",
        "angles_degrees": result.scan.angles.tolist(),
        "bonds": [
            {
                "name": bond.name,
                "torsion": list(bond.torsion),
                "flagged": bond.name in flagged,
                "hysteresis": float(result.scan.hysteresis[place].max()),
                "against": _base(result, place),
                "errors": {n: asdict(e) for n, e in bond_errors(result, place).items()},
                "profiles": {
                    name: {
                        "energies": _rounded(relative(energies[place])),
                        "rotamers_degrees": _degrees(result, rotamers(energies[place])),
                        "maxima_degrees": _degrees(result, maxima(energies[place])),
                        "barrier": float(np.nanmax(relative(energies[place]))),
                    }
                    for name, energies in result.profiles.items()
                    if np.isfinite(energies[place]).any()
                },
            }
            for place, bond in enumerate(result.scan.bonds)
        ],
        "version": __version__,
    }


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]


def _degrees(result: ScanResult, places: NDArray[np.int64]) -> list[float]:
    return [float(angle) for angle in result.scan.angles[places]]


def _table(result: ScanResult) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["torsion", "angle_degrees", "potential", "energy_kcal_mol"])
    for place, bond in enumerate(result.scan.bonds):
        torsion = "-".join(map(str, bond.torsion))
        for name, energies in result.profiles.items():
            if np.isfinite(energies[place]).any():
                heights = relative(energies[place]) / KJ_PER_KCAL
                for angle, height in zip(result.scan.angles, heights, strict=True):
                    writer.writerow([torsion, f"{angle:g}", name, f"{height:.4f}"])
    return buffer.getvalue()


def _geometries(result: ScanResult, place: int) -> str:
    """Return the network's geometries of a bond as an SDF file."""
    buffer = io.StringIO()
    writer = Chem.SDWriter(buffer)
    heights = relative(result.scan.energies[place]) / KJ_PER_KCAL
    for angle, height, positions in zip(
        result.scan.angles, heights, result.scan.positions[place], strict=True
    ):
        copy = Chem.Mol(result.molecule)
        copy.GetConformer().SetPositions(10.0 * positions)
        copy.SetProp("_Name", f"{result.scan.bonds[place].name} {angle:g} degrees")
        copy.SetProp("energy_kcal_mol", f"{height:.4f}")
        writer.write(copy)
    writer.close()
    return buffer.getvalue()


def _page(result: ScanResult) -> Page:
    smiles = Chem.MolToSmiles(Chem.RemoveHs(result.molecule))
    page = Page(f"Torsion profiles of {smiles}")
    for bond, error in flagged_bonds(result):
        page.paragraph(
            f"{bond.name}: the energies of a rotamer by force field and {result.network} differ by "
            f"{error / KJ_PER_KCAL:.1f} kcal/mol. Do not trust the force field for this torsion.",
            note=True,
        )
    page.drawing(
        depict_bond(result.molecule, result.scan.bonds),
        "The scanned bonds, with 0-based atom numbers.",
    )
    page.table(
        ("bond", "profile", "against", "RMSE", "mean abs.", "barrier", "rotamer"), _rows(result)
    )
    page.paragraph(
        "All values are in kcal/mol. RMSE and mean absolute difference: over all angles, after the "
        "mean difference is subtracted. Barrier: difference of the barriers, highest minus lowest "
        "energy. Rotamer: largest difference at a rotamer of either profile, with both minima at "
        "zero."
    )
    for place, bond in enumerate(result.scan.bonds):
        page.heading(bond.name)
        page.figure(profile_figure(result, place), _caption(result, place))
        page.table(
            ("rotamer of", "at degrees", "energy / (kcal/mol)"), _rotamer_rows(result, place)
        )
    page.heading("How it was calculated")
    _add_method(page, result)
    return page


def _rows(result: ScanResult) -> list[tuple[str, ...]]:
    rows = []
    for place, bond in enumerate(result.scan.bonds):
        for name, errors in bond_errors(result, place).items():
            values = errors.rmse, errors.mae, errors.barrier, errors.rotamer
            cells = [f"{value / KJ_PER_KCAL:.2f}" for value in values]
            rows.append((bond.name, name, _base(result, place), *cells))
    return rows


def _caption(result: ScanResult, place: int) -> str:
    hysteresis = float(result.scan.hysteresis[place].max())
    if hysteresis < _REPORTED_HYSTERESIS:
        return "Energies are relative to the minimum of each potential."
    return (
        "Energies are relative to the minimum of each potential. The scans with increasing and "
        f"with decreasing angle differ by up to {hysteresis / KJ_PER_KCAL:.1f} kcal/mol: other "
        "parts of the molecule change with this torsion. The lower energy is shown."
    )


def _rotamer_rows(result: ScanResult, place: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, energies in result.profiles.items():
        if name != result.unrelaxed and np.isfinite(energies[place]).all():
            heights = relative(energies[place]) / KJ_PER_KCAL
            rows += [
                (name, f"{result.scan.angles[at]:g}", f"{heights[at]:.2f}")
                for at in rotamers(energies[place])
            ]
    return rows


def _add_method(page: Page, result: ScanResult) -> None:
    spacing = result.scan.angles[1] - result.scan.angles[0]
    page.paragraph(
        f"nnpmm {__version__}. With {result.network}, each torsion is rotated through the full "
        f"circle in steps of {spacing:g} degrees, with increasing and with decreasing angle, while "
        "all other coordinates relax. The geometry with the lower energy is used, and is also "
        "tried at neighbouring angles. The torsion is fixed exactly. With other potentials, the "
        f"geometries of {result.network} are relaxed."
    )
    if result.parameters is not None:
        page.paragraph(f"Force field: {result.parameters.provider}.")
