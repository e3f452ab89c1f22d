"""Fixtures of the tests that run simulations."""

from __future__ import annotations

import pytest

from nnpmm.plots.style import create_figure


@pytest.fixture
def empty_report(monkeypatch):
    """Runs write an empty picture as their report, which takes a tenth of the time."""
    monkeypatch.setattr(
        "nnpmm.simulation.report.report_figure", lambda *_, **__: create_figure(1.0, 1.0)
    )
