"""The output of a search: geometries, tables, a picture, and a report page."""

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
from rdkit.Chem import rdMolAlign

from nnpmm._version import __version__
from nnpmm.conformers.rotors import rotors
from nnpmm.conformers.screening import with_conformers
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.plots import plot_conformers
from nnpmm.plots.page import Page
from nnpmm.plots.saving import save_figure
from nnpmm.plots.viewer import viewer_html

if TYPE_CHECKING:
    from nnpmm.conformers.workflow import ConformerResult

__all__ = ["conformer_figure", "conformer_rows", "superimposed", "write_results"]

_HEADER = ("conformer", "energy", "spread", "free energy", "copies", "population", "spread")
_COLUMNS = (
    "energy_kcal_mol",
    "energy_spread_kcal_mol",
    "free_energy_kcal_mol",
    "copies",
    "population_percent",
    "population_spread_percent",
)
_MAX_FRAMES = 50  # conformers in the viewer

_Array = NDArray[np.float64]


def write_results(directory: Path, result: ConformerResult) -> None:
    """Write geometries, tables, the picture and the report of a search.

    Args:
        directory: output folder.
        result: result of the search.

    Raises:
        UnwritableError: a file cannot be written.
    """
    aligned = superimposed(result)
    write_atomically(directory / "result.json", json.dumps(_record(result), indent=1) + "\n")
    write_atomically(directory / "conformers.csv", _table(result))
    write_atomically(directory / "conformers.sdf", _geometries(result, aligned))
    if result.pose is not None:
        write_atomically(directory / "pose.sdf", _pose(result))
    figure = conformer_figure(result, aligned)
    save_figure(figure, directory / "conformers")
    write_atomically(directory / "report.html", _page(result, figure, aligned).text())


def conformer_figure(result: ConformerResult, positions: _Array) -> Figure:
    """Return the picture of an ensemble.

    Args:
        result: result of the search.
        positions: superimposed positions, (k, n, 3), nm.
    """
    ensemble, molecule = result.ensemble, result.ensemble.molecule
    drawn = [a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() > 1 or _is_polar(a)]
    place = {atom: row for row, atom in enumerate(drawn)}
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    bonds = [(place[i], place[j]) for i, j in ends if i in place and j in place]
    pose = None
    if result.strain is not None:
        strain = result.strain
        pose = ("pose", strain.restrained / KJ_PER_KCAL, strain.spread / KJ_PER_KCAL)
    return plot_conformers(
        _above_lowest(ensemble.energies),
        ensemble.energy_spread / KJ_PER_KCAL,
        ensemble.populations,
        ensemble.population_spread,
        positions[:, drawn],
        [molecule.GetAtomWithIdx(i).GetSymbol() for i in drawn],
        bonds,
        pose=pose,
        title=Path(result.settings.model).name + f", {result.settings.solvent}",
    )


def conformer_rows(result: ConformerResult) -> list[tuple[str, ...]]:
    """Return the cells of a table of conformers: energies in kcal/mol, populations in percent."""
    ensemble = result.ensemble
    copies = ensemble.weights / ensemble.weights.min()
    columns = zip(
        _above_lowest(ensemble.energies),
        ensemble.energy_spread / KJ_PER_KCAL,
        ensemble.free_energies / KJ_PER_KCAL,
        copies,
        100 * ensemble.populations,
        100 * ensemble.population_spread,
        strict=True,
    )
    return [
        (f"{n}", f"{e:.2f}", f"{s:.2f}", f"{f:.2f}", f"{c:g}", f"{p:.1f}", f"{q:.1f}")
        for n, (e, s, f, c, p, q) in enumerate(columns, start=1)
    ]


def superimposed(result: ConformerResult) -> _Array:
    """Return the conformers superimposed at their largest rigid part, (k, n, 3), nm."""
    molecule = result.ensemble.molecule
    copy = with_conformers(molecule, result.ensemble.positions)
    rdMolAlign.AlignMolConformers(copy, atomIds=_largest_rigid_part(molecule))
    return 0.1 * np.array([conformer.GetPositions() for conformer in copy.GetConformers()])


def _is_polar(atom: Chem.Atom) -> bool:
    near = atom.GetNeighbors()
    return bool(near) and near[0].GetAtomicNum() != 6


def _above_lowest(energies: _Array) -> _Array:
    return np.asarray((energies - energies[0]) / KJ_PER_KCAL)


def _largest_rigid_part(molecule: Chem.Mol) -> list[int]:
    cut = [molecule.GetBondBetweenAtoms(*bond.atoms).GetIdx() for bond, _ in rotors(molecule)]
    if cut:
        pieces = Chem.FragmentOnBonds(molecule, cut, addDummies=False)
        parts = Chem.GetMolFrags(pieces)
    else:
        parts = (tuple(range(molecule.GetNumAtoms())),)
    heavy = [[i for i in p if molecule.GetAtomWithIdx(i).GetAtomicNum() > 1] for p in parts]
    largest = max(heavy, key=len)
    if len(largest) >= 3:
        return largest
    return [a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() > 1 or len(largest) < 2]


def _record(result: ConformerResult) -> dict[str, Any]:
    ensemble = result.ensemble
    record: dict[str, Any] = {
        "smiles": Chem.MolToSmiles(Chem.RemoveHs(ensemble.molecule)),
        "settings": result.settings.model_dump(mode="json"),
        "unit": "kJ/mol",
        "counts": result.counts,
        "warnings": list(result.warnings),
        "conformers": [
            {
                "energy": round(float(ensemble.energies[row] - ensemble.energies[0]), 4),
                "energy_spread": round(float(ensemble.energy_spread[row]), 4),
                "free_energy": round(float(ensemble.free_energies[row]), 4),
                "weight": round(float(ensemble.weights[row]), 6),
                "population": round(float(ensemble.populations[row]), 6),
                "population_spread": round(float(ensemble.population_spread[row]), 6),
            }
            for row in range(len(ensemble.energies))
        ],
        "methods": list(result.methods),
        "version": __version__,
    }
    if result.strain is not None and result.pose is not None:
        moved = {"moved_nm": result.pose.moved, "minimum_moved_nm": result.pose.minimum_moved}
        record["strain"] = {**asdict(result.strain), **moved}
    return record


def _table(result: ConformerResult) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("conformer", *_COLUMNS))
    writer.writerows(conformer_rows(result))
    return buffer.getvalue()


def _geometries(result: ConformerResult, positions: _Array) -> str:
    """Return the conformers as an SDF file, with energies and populations."""
    records = [
        (f"conformer {cells[0]}", geometry, dict(zip(_COLUMNS, cells[1:], strict=True)))
        for cells, geometry in zip(conformer_rows(result), positions, strict=True)
    ]
    return _sdf(result, records)


def _pose(result: ConformerResult) -> str:
    """Return the relaxed pose and the minimum next to it as SDF, in the frame of the complex."""
    assert result.pose is not None and result.strain is not None
    pose, strain = result.pose, result.strain
    rows = (
        ("pose within the restraint", pose.restrained, strain.restrained),
        ("minimum nearest to the pose", pose.minimum, strain.minimum),
    )
    return _sdf(
        result,
        [(n, g, {"strain_kcal_mol": f"{e / KJ_PER_KCAL:.2f}"}) for n, g, e in rows],
    )


def _sdf(result: ConformerResult, records: list[tuple[str, _Array, dict[str, str]]]) -> str:
    buffer = io.StringIO()
    writer = Chem.SDWriter(buffer)
    for name, geometry, properties in records:
        copy = with_conformers(result.ensemble.molecule, geometry[None])
        copy.SetProp("_Name", name)
        for key, value in properties.items():
            copy.SetProp(key, value)
        writer.write(copy)
    writer.close()
    return buffer.getvalue()


def _page(result: ConformerResult, figure: Figure, positions: _Array) -> Page:
    ensemble, settings = result.ensemble, result.settings
    page = Page(f"Conformers of {Chem.MolToSmiles(Chem.RemoveHs(ensemble.molecule))}")
    for text in result.warnings:
        page.paragraph(f"{text[0].upper()}{text[1:]}.", note=True)
    cards = [(f"{len(ensemble.energies)}", f"conformers within {_window(result)} kcal/mol")]
    if result.strain is not None:
        strain, spread = (v / KJ_PER_KCAL for v in (result.strain.restrained, result.strain.spread))
        cards.append((f"{strain:.1f} ± {spread:.1f}", "strain of the pose, kcal/mol"))
        minimum = result.strain.minimum / KJ_PER_KCAL
        cards.append((f"{minimum:.1f}", "minimum nearest to the pose, kcal/mol"))
    page.cards(cards)
    page.figure(
        figure,
        "a: energies relative to the lowest conformer. "
        f"b: populations at {settings.temperature:g} K. Both with the standard deviation over the "
        "networks. c: the lowest conformers superimposed at their largest rigid part, the lowest "
        "in front.",
    )
    page.sortable_table(_HEADER, conformer_rows(result), long=True)
    page.paragraph(
        "Energies are in kcal/mol relative to the lowest, populations in percent. A spread is the "
        "standard deviation over the networks. Copies: the number of equivalent forms (mirror "
        "images, permutations of equivalent atoms) that a conformer represents, relative to the "
        "conformer with the fewest."
    )
    page.element(
        _viewer(result, positions), "Drag to rotate; use the slider to step through the conformers."
    )
    page.heading("How it was calculated")
    for text in result.methods:
        page.paragraph(f"{text[0].upper()}{text[1:]}.")
    page.table(("geometries", "number"), [(k, str(v)) for k, v in result.counts.items()])
    page.paragraph(
        f"nnpmm {__version__}. Generators: {', '.join(settings.generators)}. Conformers within "
        f"an RMSD of {settings.rmsd:g} nm (heavy atoms and polar hydrogens, with symmetry) count "
        "as one."
    )
    return page


def _window(result: ConformerResult) -> str:
    return f"{result.settings.window / KJ_PER_KCAL:.1f}"


def _viewer(result: ConformerResult, positions: _Array) -> str:
    molecule = result.ensemble.molecule
    rows = conformer_rows(result)[:_MAX_FRAMES]
    captions = [f"conformer {r[0]}: {r[1]} kcal/mol, {r[5]} %" for r in rows]
    return viewer_html(
        "conformers",
        [atom.GetSymbol() for atom in molecule.GetAtoms()],
        np.zeros(molecule.GetNumAtoms(), dtype=int),
        [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()],
        (),
        positions[: len(rows)],
        captions,
    )
