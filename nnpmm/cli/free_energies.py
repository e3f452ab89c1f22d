"""Common parts of the commands that calculate free energies: options, progress, last lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.core.constants import KJ_PER_KCAL

if TYPE_CHECKING:
    from nnpmm.freeenergy.estimators import Estimate

__all__ = [
    "SHORT_LADDER",
    "NetworkOption",
    "PotentialsOption",
    "QuickOption",
    "RepeatsOption",
    "RouteOption",
    "TimeOption",
    "announcer",
    "in_kcal",
    "print_end",
    "print_value",
]

#: Times of --quick, for tests that show the output.
SHORT_LADDER = {"time": "25 ps", "equilibration": "10 ps", "state_equilibration": "1 ps"}

NetworkOption = Annotated[
    str | None, typer.Option("--model", help="The network.", show_default="ANI-2x")
]
PotentialsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--potential",
        help="Potential: network or force field; repeat the option for both.",
        show_default="both",
    ),
]
RouteOption = Annotated[
    str | None,
    typer.Option("--route", help="Route: joint or separate; see --template.", show_default="joint"),
]
TimeOption = Annotated[
    str | None, typer.Option("--time", help="Sampling time of each state.", show_default="1000 ps")
]
RepeatsOption = Annotated[
    int | None,
    typer.Option(
        "--repeats", "--replicas", help="Number of independent repeats.", show_default="1"
    ),
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Test run with 25 ps for each state; not converged.")
]

Show = Callable[[str, float, float], None]


def announcer(show: Show) -> Callable[[str, int, int], Callable[[str, int, int], None]]:
    """Return a function that prints the next ladder, and returns one that moves the bar.

    Args:
        show: moves the bar.
    """

    def announce(what: str, repeat: int, repeats: int) -> Callable[[str, int, int], None]:
        typer.echo(f"{what}, repeat {repeat} of {repeats}")
        return lambda stage, done, total: show(f"{what}, repeat {repeat}, {stage}", done, total)

    return announce


def in_kcal(estimate: Estimate, width: int = 0) -> str:
    """Return an estimate in kcal/mol, without an error if it is exact."""
    value, error = estimate.value / KJ_PER_KCAL, estimate.error / KJ_PER_KCAL
    return f"{value:{width}.2f} ± {error:.2f}" if error else f"{value:{width}.2f}"


def print_value(name: str, found: Estimate, indent: int = 2) -> None:
    """Print an indented value in kcal/mol."""
    print_result(f"{' ' * indent}{name:<{14 - indent}} {in_kcal(found, 8)}")


def print_end(warning: str | None, output: Path) -> None:
    """Print whether the values are converged, and where the report is."""
    if warning is not None:
        print_result(warning)
    print_result(f"report: {output / 'report.html'}")
