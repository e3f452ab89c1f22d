"""The pictures of an analysis, by name, each with its caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnpmm.analysis.comparison import Comparison
from nnpmm.analysis.contacts import KINDS
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.quantities import ANGSTROM, READINGS, SERIES, Analysis, Quantity, angles_of
from nnpmm.analysis.radial import mean_curve
from nnpmm.analysis.torsions import circular_density
from nnpmm.plots import style
from nnpmm.plots.curves import plot_radial_distributions
from nnpmm.plots.trajectories import (
    Panel,
    Torsion,
    plot_contact_network,
    plot_differences,
    plot_fluctuations,
    plot_panels,
    plot_probabilities,
    plot_time_strips,
    plot_torsion_distributions,
    plot_torsions,
)

__all__ = ["KIND_COLORS", "draw_comparison", "draw_pictures", "time_label"]

#: Colors of the kinds of contacts.
KIND_COLORS = dict(
    zip(
        KINDS,
        (
            style.BLUE, style.SKY, style.RED, style.PURPLE, style.ORANGE, style.GREEN, style.GREY,
        ),
        strict=True,
    )
)  # fmt: skip
Pictures = dict[str, tuple[Figure, str]]
_SMALLEST = 0.05  # probability of a contact; rarer ones are in the table only
_MOST_STRIPS = 40
_COLUMNS = 1500  # of a strip; screens are hardly wider
_BAND = ", with bands of two standard errors."


def time_label(replicas: Sequence[Observations]) -> str:
    """Return the label of the time axis."""
    return "time / ps" if all(replica.has_time for replica in replicas) else "frame"


def draw_pictures(analysis: Analysis) -> Pictures:
    """Return every picture for which there are data."""
    replicas, xlabel = analysis.replicas, time_label(analysis.replicas)
    found: Pictures = {}
    _add_panels(found, "structure", SERIES, "series", replicas, xlabel)
    if any(len(replica.residues) for replica in replicas):
        found["fluctuations"] = _fluctuations(analysis)
    if analysis.rotamers:
        found["torsions"] = (
            plot_torsions(
                [_torsion(analysis, label) for label in analysis.rotamers], xlabel=xlabel
            ),
            "Torsions of the ligand's rotatable bonds over time, and their distributions.",
        )
    shown = _shown_contacts(analysis)
    if shown:
        found["contacts"] = _contact_bars(shown)
        found["contact-times"] = _contact_strips(analysis, shown, xlabel)
        found["contact-network"] = _network(analysis, shown)
    if any(replica.distributions for replica in replicas):
        found["distributions"] = (
            plot_radial_distributions(_radial({r.name: [r] for r in replicas})),
            f"Radial distribution functions between atoms of different molecules{_BAND}",
        )
    _add_panels(found, "readings", READINGS, "readings", replicas, "time / ps")
    return found


def draw_comparison(comparison: Comparison) -> Pictures:
    """Return the pictures of a comparison."""
    found: Pictures = {}
    titles = {
        "overall": ("difference in standard errors", "Differences of averages"),
        "torsion": ("difference of populations", "Differences of rotamer populations"),
        "angle": ("difference of mean angles / °", "Differences of mean angles in the rotamers"),
        "contact": ("difference of probabilities", "Differences of contact probabilities"),
    }
    for kind, (xlabel, title) in titles.items():
        chosen = [d for d in comparison.of_kind(kind) if d.significant is not None]
        if kind == "contact":
            chosen = sorted(chosen, key=lambda d: -abs(d.value))[:_MOST_STRIPS]
        if not chosen:
            continue
        # Averages of several units share an axis in units of their errors.
        scale = np.array([d.error if kind == "overall" else 1.0 for d in chosen])
        figure = plot_differences(
            [d.first.name for d in chosen],
            np.array([d.value for d in chosen]) / scale,
            np.array([d.error for d in chosen]) / scale,
            [bool(d.significant) for d in chosen],
            xlabel=xlabel,
        )
        found[f"difference-{kind}"] = (
            figure,
            f"{title}, {comparison.second.name} minus {comparison.first.name}, with two standard "
            "errors. Significant ones are in colour.",
        )
    both = (comparison.first, comparison.second)
    if comparison.first.rotamers:
        found["angle-distributions"] = (
            plot_torsion_distributions(
                {
                    label: {system.name: _densities(system, label) for system in both}
                    for label in comparison.first.rotamers
                }
            ),
            "Distribution of each torsion in both systems; thin lines are single trajectories.",
        )
    if any(r.distributions for system in both for r in system.replicas):
        found["shell-distributions"] = (
            plot_radial_distributions(_radial({s.name: s.replicas for s in both})),
            f"Radial distribution functions in both systems{_BAND}",
        )
    if all(any(len(r.residues) for r in system.replicas) for system in both):
        labels = [d.first.name for d in comparison.of_kind("fluctuation")]
        series = {system.name: _values_of(system, labels) for system in both}
        found["difference-fluctuations"] = (
            plot_fluctuations(labels, series),
            "Fluctuation of each residue in both systems, with bands of two standard errors.",
        )
    return found


def _add_panels(
    found: Pictures,
    name: str,
    known: dict[str, tuple[str, str, float]],
    source: str,
    replicas: Sequence[Observations],
    xlabel: str,
) -> None:
    panels = []
    for key, (title, unit, factor) in known.items():
        series = {}
        for replica in replicas:
            values = getattr(replica, source).get(key)
            if values is None or not np.isfinite(values).any():
                continue
            time = replica.time if source == "series" else replica.reading_time
            series[replica.name] = (time, factor * values)
        if series:
            panels.append(Panel(title, unit, series))
    if panels:
        caption = {
            "series": "Time series. Strong lines are running averages.",
            "readings": "Values from the log of the simulation.",
        }[source]
        found[name] = (plot_panels(panels, xlabel=xlabel), caption)


def _radial(
    systems: Mapping[str, Sequence[Observations]],
) -> dict[str, dict[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]]:
    """Return the curves of each pair of elements: radii in angstrom, g(r) and its error."""
    found: dict[str, dict[str, Any]] = {}
    for name, replicas in systems.items():
        for pair in dict.fromkeys(pair for r in replicas for pair in r.distributions):
            with_pair = [r for r in replicas if pair in r.distributions]
            radii = min((r.radii for r in with_pair), key=len)
            mean, error = mean_curve([r.distributions[pair][:, : len(radii)] for r in with_pair])
            found.setdefault(pair, {})[name] = (ANGSTROM * radii, mean, error)
    return found


def _values_of(
    system: Analysis, labels: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = {q.name: q.average for q in system.of_kind("fluctuation")}
    return (
        np.array([table[label].value for label in labels]),
        np.array([table[label].error for label in labels]),
    )


def _fluctuations(analysis: Analysis) -> tuple[Figure, str]:
    quantities = analysis.of_kind("fluctuation")
    labels = [q.name for q in quantities]
    series = {"RMSF": _values_of(analysis, labels)}
    caption = (
        "Root mean square fluctuation of each residue (CA), with a band of two standard errors"
    )
    factors = analysis.replicas[0].b_factors
    if len(factors) == len(labels) and np.isfinite(factors).any():
        crystal = np.sqrt(3 * factors / (8 * np.pi**2))
        series["from B factors"] = (crystal, np.full(len(crystal), np.nan))
        caption += ", and that from the B factors of the structure, (3 B / 8 π²)^(1/2)"
    touching = [q.name.split(", ")[0] for q in analysis.of_kind("contact") if _is_frequent(q)]
    caption += ". Triangles mark residues in contact with the ligand." if touching else "."
    return plot_fluctuations(labels, series, marked=touching), caption


def _torsion(analysis: Analysis, label: str) -> Torsion:
    series, density, grid = {}, {}, np.zeros(0)
    for replica in analysis.replicas:
        angles = angles_of(replica, label)
        if len(angles):
            grid, density[replica.name] = circular_density(angles)
            series[replica.name] = (replica.time, angles)
    return Torsion(label, series, grid, density)


def _densities(system: Analysis, label: str) -> list[NDArray[np.float64]]:
    angles = [angles_of(replica, label) for replica in system.replicas]
    return [circular_density(found)[1] for found in angles if len(found)]


def _is_frequent(quantity: Quantity) -> bool:
    return quantity.average.value >= _SMALLEST


def _shown_contacts(analysis: Analysis) -> list[Quantity]:
    found = [q for q in analysis.of_kind("contact") if _is_frequent(q)]
    found.sort(key=lambda q: (KINDS.index(_kind(q)), -q.average.value))
    return found[:_MOST_STRIPS]


def _kind(quantity: Quantity) -> str:
    return quantity.name.split(", ", 1)[1]


def _residue(quantity: Quantity) -> str:
    return quantity.name.split(", ", 1)[0]


def _contact_bars(shown: Sequence[Quantity]) -> tuple[Figure, str]:
    figure = plot_probabilities(
        [q.name for q in shown],
        [q.average.value for q in shown],
        [q.average.error for q in shown],
        [KIND_COLORS[_kind(q)] for q in shown],
    )
    return figure, (
        "Probabilities of the ligand's contacts, with two standard errors; those below "
        f"{100 * _SMALLEST:.0f} % are only in the table."
    )


def _contact_strips(
    analysis: Analysis, shown: Sequence[Quantity], xlabel: str
) -> tuple[Figure, str]:
    tables, ends, total = [], [], 0.0
    for replica in analysis.replicas:
        columns = np.zeros((replica.n_frames, len(shown)))
        for n, quantity in enumerate(shown):
            key = (_residue(quantity), _kind(quantity))
            if key in replica.contact_labels:
                columns[:, n] = replica.contacts[:, replica.contact_labels.index(key)]
        tables.append(columns)
        step = float(np.median(np.diff(replica.time))) if replica.n_frames > 1 else 1.0
        total += step * replica.n_frames
        ends.append(total)
    table = np.concatenate(tables)
    if len(table) > _COLUMNS:  # averages of neighbours
        edges = np.linspace(0, len(table), _COLUMNS + 1).astype(int)
        table = np.add.reduceat(table, edges[:-1], axis=0) / np.diff(edges)[:, None]
    figure = plot_time_strips(
        [q.name for q in shown],
        table,
        [KIND_COLORS[_kind(q)] for q in shown],
        (0.0, total),
        xlabel=xlabel,
        breaks=ends[:-1],
    )
    joined = ", the trajectories one after the other" if len(tables) > 1 else ""
    return figure, f"Contacts over time{joined}."


def _network(analysis: Analysis, shown: Sequence[Quantity]) -> tuple[Figure, str]:
    specific = [q for q in shown if _kind(q) != "contact"] or list(shown)
    order = list(analysis.replicas[0].residues)
    specific.sort(key=lambda q: order.index(_residue(q)) if _residue(q) in order else len(order))
    edges = [(_residue(q), _kind(q), q.average.value) for q in specific]
    name = str(analysis.replicas[0].facts["ligand"])
    return plot_contact_network(name, edges, KIND_COLORS), (
        "The ligand and the residues with which it interacts. More frequent contacts have thicker "
        "lines; a number is the probability of the most frequent kind."
    )
