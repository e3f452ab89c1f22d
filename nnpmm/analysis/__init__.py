"""Analysis of trajectories: deviations, torsions, contacts, their errors, comparisons."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.analysis.analyzing import analyze, gather
    from nnpmm.analysis.averages import Average
    from nnpmm.analysis.comparison import Comparison, Difference, compare
    from nnpmm.analysis.observations import Observations, View
    from nnpmm.analysis.observing import Settings, observe
    from nnpmm.analysis.quantities import Analysis, Quantity
    from nnpmm.analysis.report import write_report
    from nnpmm.analysis.sources import Readings, Source, read_source

__all__ = [
    "Analysis",
    "Average",
    "Comparison",
    "Difference",
    "Observations",
    "Quantity",
    "Readings",
    "Settings",
    "Source",
    "View",
    "analyze",
    "compare",
    "gather",
    "observe",
    "read_source",
    "write_report",
]

lazy_names(
    __name__,
    {
        "Analysis": "nnpmm.analysis.quantities",
        "Average": "nnpmm.analysis.averages",
        "Comparison": "nnpmm.analysis.comparison",
        "Difference": "nnpmm.analysis.comparison",
        "Observations": "nnpmm.analysis.observations",
        "Quantity": "nnpmm.analysis.quantities",
        "Readings": "nnpmm.analysis.sources",
        "Settings": "nnpmm.analysis.observing",
        "Source": "nnpmm.analysis.sources",
        "View": "nnpmm.analysis.observations",
        "analyze": "nnpmm.analysis.analyzing",
        "compare": "nnpmm.analysis.comparison",
        "gather": "nnpmm.analysis.analyzing",
        "observe": "nnpmm.analysis.observing",
        "read_source": "nnpmm.analysis.sources",
        "write_report": "nnpmm.analysis.report",
    },
)
