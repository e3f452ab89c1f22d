"""The numbers of an analysis as CSV tables and as data for JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnpmm._version import __version__
from nnpmm.analysis.averages import Average
from nnpmm.analysis.comparison import Comparison, Difference
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.quantities import Analysis, angles_of
from nnpmm.analysis.radial import mean_curve

__all__ = [
    "averages_csv",
    "comparison_data",
    "data_of",
    "differences_csv",
    "distributions_csv",
    "series_csv",
    "transitions_of",
    "with_error",
]

_HEADER = (
    "kind", "quantity", "unit", "mean", "standard_error", "statistical_inefficiency", "samples",
    "replicas", "standard_deviation_of_replicas",
)  # fmt: skip


def with_error(value: float, error: float) -> str:
    """Return a value with its error, rounded to two digits of the error: ``"1.23 ± 0.11"``."""
    if not math.isfinite(value):
        return "-"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def averages_csv(analysis: Analysis) -> str:
    """Return all averages of an analysis as CSV."""
    return _csv(
        _HEADER,
        (
            (
                q.kind,
                q.name,
                q.unit,
                a.value,
                a.error,
                a.inefficiency,
                a.samples,
                a.replicas,
                a.spread,
            )
            for q in analysis.quantities
            for a in (q.average,)
        ),
    )


def differences_csv(comparison: Comparison) -> str:
    """Return all differences of a comparison as CSV."""
    header = (
        "kind", "quantity", "unit", comparison.first.name, comparison.second.name, "difference",
        "standard_error", "adjusted_p_value", "significant",
    )  # fmt: skip
    return _csv(
        header,
        (
            (
                d.first.kind,
                d.first.name,
                d.first.unit,
                d.first.average.value,
                d.second.average.value,
                d.value,
                d.error,
                d.p_value,
                "" if d.significant is None else d.significant,
            )
            for d in comparison.differences
        ),
    )


def series_csv(analysis: Analysis) -> dict[str, str]:
    """Return the series of each trajectory as CSV; lengths are in nm, angles in degrees."""
    found = {}
    for number, replica in enumerate(analysis.replicas, start=1):
        names = [*replica.series, *replica.torsion_labels]
        columns = [*replica.series.values(), *replica.torsions.T]
        header = ("time_ps" if replica.has_time else "frame", *names)
        rows = zip(replica.time, *columns, strict=True)
        found[f"series-{number}.csv"] = _csv(header, rows)
    return found


def distributions_csv(analysis: Analysis) -> dict[str, str]:
    """Return the radial distribution functions of each trajectory as CSV; radii are in nm."""
    found = {}
    for number, replica in enumerate(analysis.replicas, start=1):
        if not replica.distributions:
            continue
        header, columns = ["r_nm"], [replica.radii]
        for pair, blocks in replica.distributions.items():
            header += [f"g_{pair}", f"standard_error_{pair}"]
            columns += mean_curve([blocks])
        found[f"distributions-{number}.csv"] = _csv(header, zip(*columns, strict=True))
    return found


def data_of(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as plain data, for JSON; what is not known is None."""
    return {
        "nnpmm": __version__,
        "name": analysis.name,
        "trajectories": [
            {
                "name": r.name,
                "frames": r.n_frames,
                **dict(r.facts),
                "largest_spread": [
                    {"frame": int(frame), "spread_kj_mol": float(spread)}
                    for frame, spread in zip(r.spread_frames, r.spreads, strict=True)
                ],
                "distributions": _distributions(r),
            }
            for r in analysis.replicas
        ],
        "torsions": [
            {
                "torsion": label,
                "rotamers_deg": rotamers.peaks.tolist(),
                "transitions": transitions_of(analysis, label),
            }
            for label, rotamers in analysis.rotamers.items()
        ],
        "averages": [
            {
                "kind": q.kind,
                "quantity": q.name,
                "unit": q.unit,
                **_average_data(q.average),
                "trajectories": [_average_data(a) for a in q.replicas],
            }
            for q in analysis.quantities
        ],
    }


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data, for JSON."""
    return {
        "nnpmm": __version__,
        "first": data_of(comparison.first),
        "second": data_of(comparison.second),
        "differences": [_difference_data(d) for d in comparison.differences],
        "only_first": list(comparison.only_first),
        "only_second": list(comparison.only_second),
    }


def transitions_of(analysis: Analysis, label: str) -> int:
    """Return how often a torsion changes its rotamer in all trajectories together."""
    found = analysis.rotamers[label]
    return sum(found.transitions(angles_of(replica, label)) for replica in analysis.replicas)


def _distributions(replica: Observations) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair, blocks in replica.distributions.items():
        mean, error = mean_curve([blocks])
        found[pair] = {
            "r_nm": np.round(replica.radii, 6).tolist(),
            "g": mean.tolist(),
            "standard_error": [_known(value) for value in error.tolist()],
        }
    return found


def _average_data(a: Average) -> dict[str, Any]:
    return {
        "mean": _known(a.value),
        "standard_error": _known(a.error),
        "statistical_inefficiency": _known(a.inefficiency),
        "samples": a.samples,
        "replicas": a.replicas,
        "standard_deviation_of_replicas": _known(a.spread),
    }


def _difference_data(d: Difference) -> dict[str, Any]:
    return {
        "kind": d.first.kind,
        "quantity": d.first.name,
        "unit": d.first.unit,
        "difference": _known(d.value),
        "standard_error": _known(d.error),
        "adjusted_p_value": _known(d.p_value),
        "significant": d.significant,
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value
