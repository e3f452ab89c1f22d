"""Checks of a potential, to run before you trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.models.validation.check import Check, Finding
    from nnpmm.models.validation.report import plot_findings, record_of, write_report
    from nnpmm.models.validation.suite import CHECKS, Validation, validate

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Validation",
    "plot_findings",
    "record_of",
    "validate",
    "write_report",
]

lazy_names(
    __name__,
    {
        "CHECKS": "nnpmm.models.validation.suite",
        "Check": "nnpmm.models.validation.check",
        "Finding": "nnpmm.models.validation.check",
        "Validation": "nnpmm.models.validation.suite",
        "plot_findings": "nnpmm.models.validation.report",
        "record_of": "nnpmm.models.validation.report",
        "validate": "nnpmm.models.validation.suite",
        "write_report": "nnpmm.models.validation.report",
    },
)
