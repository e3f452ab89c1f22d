"""The record of a validation, and its picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nnpmm._version import __version__
from nnpmm.core.files import write_atomically
from nnpmm.models.validation.check import Check, Finding
from nnpmm.models.validation.cutoff import SMOOTHNESS
from nnpmm.models.validation.dynamics import ENERGY_CONSERVATION
from nnpmm.models.validation.forces import FORCES
from nnpmm.models.validation.suite import Validation
from nnpmm.models.validation.walls import CLOSE_CONTACTS, STRETCHED_BONDS
from nnpmm.plots.saving import save_figure
from nnpmm.plots.validation import ValidationPanel, plot_validation

__all__ = ["bound_text", "plot_findings", "record_of", "value_text", "write_report"]

_NOTHING = 1e-9  # rounding of double precision
# Titles and labels of the curves that checks leave.
_PANELS = {
    FORCES.name: ("forces", "-dE/dx / (kJ/mol/nm)", "force / (kJ/mol/nm)"),
    ENERGY_CONSERVATION.name: (
        "NVE dynamics (thin: half the step)",
        "time / fs",
        "total energy / (kJ/mol)",
    ),
    SMOOTHNESS.name: ("two molecules", "distance of centres / nm", "energy / (kJ/mol)"),
    STRETCHED_BONDS.name: ("stretched bonds", "length / nm", "energy / (kJ/mol)"),
    CLOSE_CONTACTS.name: ("close contacts", "distance of atoms / nm", "energy / (kJ/mol)"),
}


def record_of(validation: Validation) -> dict[str, Any]:
    """Return all figures of a validation, as JSON takes them; infinite bounds are None."""
    checks = {
        check.name: {
            "unit": check.unit,
            "pass": _finite(check.good),
            "fail": _finite(check.bad),
            "larger_is_better": check.at_least,
            "figure": check.figure,
            "beyond": check.beyond,
            "molecules": {
                finding.molecule: {
                    "verdict": finding.verdict,
                    "value": _finite(finding.value),
                    "note": finding.note,
                }
                for finding in validation.of(check.name)
            },
        }
        for check in validation.checks
    }
    return {
        "nnpmm_version": __version__,
        "model": validation.model,
        "verdict": validation.verdict,
        "left_out": validation.left_out,
        "checks": checks,
    }


def write_report(folder: Path, validation: Validation) -> None:
    """Write validation.json, and validation.png and .svg.

    Raises:
        UnwritableError: a file cannot be written.
    """
    save_figure(plot_findings(validation), folder / "validation")
    text = json.dumps(record_of(validation), indent=1, ensure_ascii=False)
    write_atomically(folder / "validation.json", text + "\n")


def plot_findings(validation: Validation) -> Figure:
    """Draw the verdicts of all checks on all molecules, and the curves behind them."""
    names = [check.name for check in validation.checks]
    table = [[(f.verdict, value_text(f)) for f in validation.of(name)] for name in names]
    panels = []
    for name in names:
        curves = [curve for finding in validation.of(name) for curve in finding.curves]
        if name in _PANELS and curves:
            panels.append(ValidationPanel(*_PANELS[name], tuple(curves)))
    units = [f"{check.name} / {check.unit}" for check in validation.checks]
    title = str(validation.model.get("model", ""))
    return plot_validation(units, validation.molecules, table, panels, title=title)


def value_text(finding: Finding) -> str:
    """Return a figure in few digits."""
    if finding.value is None:
        return "-" if finding.verdict == "n/a" else "error"
    size = abs(finding.value)
    if size < _NOTHING:
        return "0"
    return f"{finding.value:.0f}" if size >= 100 else f"{finding.value:.2g}"


def bound_text(check: Check) -> str:
    """Return the bounds of a check: up to where it passes, and from where it fails."""
    sign = "≥" if check.at_least else "≤"
    if math.isinf(check.bad):
        return f"{sign} {check.good:g}"
    return f"{sign} {check.good:g} ({check.bad:g})"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
