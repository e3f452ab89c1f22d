"""The report of an analysis or a comparison: one HTML page, pictures, and tables, in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnpmm._version import __version__
from nnpmm.analysis import tables
from nnpmm.analysis.comparison import LEVEL, Comparison
from nnpmm.analysis.hydration import SHELL
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.pictures import Pictures, draw_comparison, draw_pictures
from nnpmm.analysis.quantities import Analysis, Quantity
from nnpmm.analysis.tables import with_error
from nnpmm.core.files import require_folder, write_atomically
from nnpmm.plots.page import Page
from nnpmm.plots.saving import save_figure
from nnpmm.plots.style import axis_label
from nnpmm.plots.viewer import viewer_html

__all__ = ["DATA", "REPORT", "read_observations", "write_report"]

REPORT, DATA = "report.html", "analysis.json"
_OBSERVATIONS = "observations"
_NAMED = 3  # trajectories in the title
_FEW = 10  # independent samples, below which an error is itself uncertain
_OVER_TRAJECTORIES = (
    "With several trajectories, the error is the larger of two: the one that follows from the "
    "errors of the trajectories, and the one from the spread between them."
)


def write_report(folder: Path, found: Analysis | Comparison) -> Path:
    """Write the report of an analysis or a comparison, and return the page.

    The folder gets ``report.html``, ``analysis.json``, each picture as PNG and SVG in
    ``pictures/``, and the numbers as CSV in ``tables/``. An analysis also writes the observations
    of each trajectory, which ``read_observations`` reads.

    Args:
        folder: output folder, created if necessary.
        found: what is reported.

    Raises:
        UnwritableError: a file cannot be written.
    """
    require_folder(folder)
    if isinstance(found, Comparison):
        page, pictures = _comparison_page(found)
        data = tables.comparison_data(found)
        files = {"differences.csv": tables.differences_csv(found)}
    else:
        page, pictures = _analysis_page(found)
        data = tables.data_of(found)
        files = {"averages.csv": tables.averages_csv(found), **tables.series_csv(found)}
        files |= tables.distributions_csv(found)
        _save_observations(folder / _OBSERVATIONS, found.replicas)
    for name, (figure, _) in pictures.items():
        save_figure(figure, folder / "pictures" / name)
    for name, text in files.items():
        write_atomically(folder / "tables" / name, text)
    write_atomically(folder / DATA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / REPORT, page.text())
    return folder / REPORT


def read_observations(folder: Path) -> list[Observations]:
    """Return what was observed in the trajectories of a report; none if it is no such folder.

    Raises:
        InputFileError: a file is damaged, or of another version.
    """
    paths = (folder / _OBSERVATIONS).glob("*.safetensors")
    return [Observations.load(path) for path in sorted(paths, key=lambda path: int(path.stem))]


def _save_observations(folder: Path, replicas: Sequence[Observations]) -> None:
    wanted = {f"{number}.safetensors": r for number, r in enumerate(replicas, start=1)}
    for name, replica in wanted.items():
        replica.save(folder / name)
    for path in folder.glob("*.safetensors"):
        if path.name not in wanted:  # of an earlier report of more trajectories
            path.unlink()


def _analysis_page(analysis: Analysis) -> tuple[Page, Pictures]:
    pictures = draw_pictures(analysis)
    first = analysis.replicas[0]
    names = ", ".join(replica.name for replica in analysis.replicas[:_NAMED])
    more = f" and {len(analysis.replicas) - _NAMED} more" * (len(analysis.replicas) > _NAMED)
    subject = first.facts["ligand"] or first.facts["liquid"] or "Trajectory"
    page = Page(f"{subject}: {names}{more}")
    page.paragraph(_summary(analysis))
    for note in _notes(analysis.replicas):
        page.paragraph(note, note=True)
    page.cards(_cards(analysis))
    viewed = next((r for r in analysis.replicas if r.view is not None and len(r.view.frames)), None)
    if viewed is not None:
        page.heading("Structure")
        _add_viewer(page, viewed)
    page.heading("Averages")
    _add_averages(page, analysis.of_kind("overall"), "quantity")
    _add_pictures(page, pictures, "structure", "readings")
    if "distributions" in pictures:
        page.heading("Radial distribution functions")
        _add_pictures(page, pictures, "distributions")
        _add_averages(page, analysis.of_kind("shell"), "quantity")
    _add_spreads(page, analysis.replicas)
    if analysis.rotamers:
        page.heading("Rotatable bonds")
        _add_rotamers(page, analysis)
        _add_pictures(page, pictures, "torsions")
    if analysis.of_kind("contact"):
        page.heading("Contacts of the ligand")
        _add_pictures(page, pictures, "contact-network", "contacts", "contact-times")
        _add_averages(page, analysis.of_kind("contact"), "contact", percent=True)
    if "fluctuations" in pictures:
        page.heading("Fluctuations of the receptor")
        _add_pictures(page, pictures, "fluctuations")
        _add_averages(page, analysis.of_kind("fluctuation"), "residue")
    _add_method(page, analysis)
    return page, pictures


def _summary(analysis: Analysis) -> str:
    replicas, first = analysis.replicas, analysis.replicas[0]
    frames = sum(r.n_frames for r in replicas)
    text = f"{frames} frames"
    if all(r.has_time and r.n_frames > 1 for r in replicas):
        length = sum(float(r.time[-1] - r.time[0]) for r in replicas)
        text += f", {length / 1000:.3g} ns" if length >= 1000 else f", {length:.3g} ps"
    text += f", in {len(replicas)} trajectories" if len(replicas) > 1 else ""
    if first.facts["smiles"]:
        text += f". Ligand: {first.facts['smiles']}"
    return text + "."


def _notes(replicas: Sequence[Observations]) -> list[str]:
    notes = [
        f"{r.name}: only {r.n_frames} frames were read: {r.facts['problem']}."
        for r in replicas
        if r.facts["problem"]
    ]
    return [*notes, *dict.fromkeys(note for r in replicas for note in r.facts["notes"])]


def _cards(analysis: Analysis) -> list[tuple[str, str]]:
    wanted = (
        "ligand RMSD in the site", "ligand RMSD, internal", "receptor RMSD",
        "waters in the first shell", "density", "spread of the ensemble",
    )  # fmt: skip
    table = {q.name: q for q in analysis.of_kind("overall")}
    found = [
        (f"{with_error(q.average.value, q.average.error)}\u00a0{q.unit}".strip(), q.name)
        for q in (table[name] for name in wanted if name in table)
    ]
    bonds = [q for q in analysis.of_kind("contact") if "hydrogen bond" in q.name]
    if bonds:
        best = max(bonds, key=lambda q: q.average.value)
        share = with_error(100 * best.average.value, 100 * best.average.error)
        found.append((f"{share} %", best.name))
    return found


def _add_viewer(page: Page, replica: Observations) -> None:
    view = replica.view
    if view is None:
        return
    spread = dict(zip(replica.spread_frames.tolist(), replica.spreads.tolist(), strict=True))
    captions = []
    for frame in view.frames.tolist():
        time = f", {replica.time[frame]:.4g} ps" if replica.has_time else ""
        worst = f", spread of the ensemble {spread[frame]:.1f} kJ/mol" if frame in spread else ""
        captions.append(f"frame {frame}{time}{worst}")
    page.element(
        viewer_html(
            "site",
            view.symbols,
            view.groups,
            view.bonds,
            view.labels,
            view.positions,
            captions,
        ),
        f"{replica.name}: the ligand (green) and the residues around it, aligned. Drag to rotate, "
        "scroll or pinch to zoom, use the slider or the arrow keys to step through the frames.",
    )


def _add_averages(
    page: Page, quantities: Sequence[Quantity], name: str, *, percent: bool = False
) -> None:
    several = any(len(q.replicas) > 1 for q in quantities)
    scale = 100 if percent else 1
    header = [name, "mean ± error", "unit", "independent samples"]
    header += ["each trajectory"] * several
    rows, values = [], []
    for q in quantities:
        a = q.average
        row = [
            q.name,
            with_error(scale * a.value, scale * a.error),
            "%" if percent else q.unit,
            f"{a.independent:.0f}" if np.isfinite(a.independent) else "-",
        ]
        if several:
            row.append(", ".join(f"{scale * r.value:.4g}" for r in q.replicas))
        rows.append(row)
        values.append({1: a.value})
    page.sortable_table(header, rows, values, long=len(rows) > 15)


def _add_pictures(page: Page, pictures: Pictures, *names: str) -> None:
    for name in names:
        if name in pictures:
            page.figure(*pictures[name])


def _add_spreads(page: Page, replicas: Sequence[Observations]) -> None:
    rows = [
        (r.name, str(int(frame)), f"{r.time[frame]:.4g}", f"{spread:.2f}")
        for r in replicas
        for frame, spread in zip(r.spread_frames.tolist(), r.spreads.tolist(), strict=True)
    ]
    if rows:
        page.paragraph(
            "In these frames the networks of the ensemble disagree most. Look at them first: they "
            "are probably the farthest from the training data."
        )
        page.sortable_table(("trajectory", "frame", "time / ps", "spread / (kJ/mol)"), rows)


def _add_rotamers(page: Page, analysis: Analysis) -> None:
    rows, values = [], []
    for q, angle in zip(analysis.of_kind("torsion"), analysis.of_kind("angle"), strict=True):
        label, rotamer = q.name.rsplit(", ", 1)
        a = q.average
        share = with_error(100 * a.value, 100 * a.error)
        transitions = tables.transitions_of(analysis, label)
        mean = with_error(angle.average.value, angle.average.error)
        counts = (f"{a.independent:.0f}", str(transitions))
        rows.append((label, rotamer, f"{share} %", *counts, mean))
        values.append({2: a.value, 5: angle.average.value})
    header = (
        "torsion", "rotamer", "population", "independent samples", "transitions", "mean angle / °",
    )  # fmt: skip
    page.sortable_table(header, rows, values, long=len(rows) > 15)


def _add_method(page: Page, analysis: Analysis) -> None:
    page.heading("How it was calculated")
    if analysis.replicas[0].facts["liquid"]:
        _add_method_of_liquids(page)
    else:
        _add_method_of_solutes(page, analysis.replicas[0])
    rows = [(r.name, str(r.n_frames), str(r.facts["trajectory"])) for r in analysis.replicas]
    page.table(("trajectory", "frames", "file"), rows)
    page.paragraph(f"nnpmm {__version__}")


def _add_method_of_liquids(page: Page) -> None:
    page.paragraph(
        "Radial distribution functions count pairs of atoms in different molecules, relative to a "
        "uniform distribution. Of a large system or a long trajectory, only evenly spaced atoms "
        "and frames are used. Neighbours are counted up to the first minimum after the first peak "
        "of the mean curve."
    )
    page.paragraph(
        "Errors are standard errors. That of a time series accounts for its statistical "
        "inefficiency, that of a radial distribution function is from ten blocks of the "
        f"trajectory, and those of its peak and neighbours are from a jackknife over these blocks. "
        f"{_OVER_TRAJECTORIES} No error accounts for motions slower than a block."
    )


def _add_method_of_solutes(page: Page, first: Observations) -> None:
    page.paragraph(
        "Molecules are made whole, moved to the same periodic image, and aligned on the "
        f"receptor's backbone. Deviations are relative to {first.facts['reference']}; chemically "
        "equivalent heavy atoms of the ligand may be exchanged. Fluctuations are relative to the "
        f"average structure. The first shell of water around {first.facts['water_group']} extends "
        f"to {10 * SHELL:g} Å from a heavy atom."
    )
    page.paragraph(
        "Errors are standard errors that account for the statistical inefficiency of the series. "
        "That of a probability is the standard deviation of its beta distribution, and that of a "
        f"fluctuation is from a jackknife over ten blocks. {_OVER_TRAJECTORIES} With fewer than "
        f"{_FEW} independent samples, the error itself is uncertain. No error accounts for motions "
        "slower than the trajectory."
    )
    page.paragraph(
        "Contacts are geometric: hydrogen bonds with H···A below 2.5 Å and an angle above "
        "120° (Baker and Hubbard), hydrophobic and ionic contacts below 4.5 Å, stacked rings below "
        "5.5 Å (6.5 Å edge to face), contacts between heavy atoms below 4 Å. Rotamers are the "
        "basins of the distribution; a transition is counted when the core of another basin is "
        "reached."
    )


def _comparison_page(comparison: Comparison) -> tuple[Page, Pictures]:
    first, second = comparison.first.name, comparison.second.name
    pictures = draw_comparison(comparison)
    page = Page(f"{first} and {second} compared")
    known = [d for d in comparison.differences if d.significant is not None]
    count = sum(bool(d.significant) for d in known)
    page.paragraph(
        f"{count} of {len(known)} differences are significant. A difference is significant if it "
        "is larger than two standard errors and its p value, adjusted for all differences of its "
        f"kind (Holm), is below {LEVEL:g}. Otherwise, the difference and two standard errors show "
        "how large it may still be."
    )
    single = [s.name for s in (comparison.first, comparison.second) if len(s.replicas) == 1]
    if single:
        page.paragraph(
            f"There is only one trajectory of {' and of '.join(single)}. Its errors do not account "
            "for slower motions, so that two trajectories of one system could differ as much. Only "
            "independent replicas can rule this out.",
            note=True,
        )
    for note in _notes([*comparison.first.replicas, *comparison.second.replicas]):
        page.paragraph(note, note=True)
    titles = {
        "overall": "Averages",
        "torsion": "Populations of rotamers",
        "angle": "Mean angles in the rotamers",
        "contact": "Contacts",
        "fluctuation": "Fluctuations",
        "shell": "Radial distribution functions",
    }
    for kind, title in titles.items():
        chosen = comparison.of_kind(kind)
        if not chosen:
            continue
        page.heading(title)
        _add_pictures(
            page, pictures, f"difference-{kind}", f"difference-{kind}s", f"{kind}-distributions"
        )
        header = ("quantity", first, second, "difference", "p", "verdict")
        rows = [
            (
                axis_label(d.first.name, d.first.unit),
                with_error(d.first.average.value, d.first.average.error),
                with_error(d.second.average.value, d.second.average.error),
                with_error(d.value, d.error),
                f"{d.p_value:.2g}" if np.isfinite(d.p_value) else "-",
                d.verdict,
            )
            for d in chosen
        ]
        values = [{3: d.value} for d in chosen]
        page.sortable_table(header, rows, values, long=len(rows) > 15)
    for system, only in ((first, comparison.only_first), (second, comparison.only_second)):
        if only:
            page.paragraph(f"In {system} only: {', '.join(only)}.")
    page.paragraph(f"nnpmm {__version__}")
    return page, pictures
