"""``nnpmm``: the commands in one application."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nnpmm import __version__
from nnpmm.cli.analyze import analyze
from nnpmm.cli.benchmark import benchmark
from nnpmm.cli.binding import binding
from nnpmm.cli.campaign import campaign
from nnpmm.cli.conformers import conformers
from nnpmm.cli.demo import demo
from nnpmm.cli.doctor import doctor
from nnpmm.cli.errors import run_app
from nnpmm.cli.fit_torsions import fit_torsions
from nnpmm.cli.graphs import graphs
from nnpmm.cli.init import init
from nnpmm.cli.permeation import permeation
from nnpmm.cli.prepare import prepare
from nnpmm.cli.relative import binding_relative
from nnpmm.cli.reweight import reweight
from nnpmm.cli.run import run
from nnpmm.cli.sample import sample
from nnpmm.cli.scan import scan
from nnpmm.cli.solvation import solvation
from nnpmm.cli.torsionnet import torsionnet
from nnpmm.cli.validate import validate

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hybrid neural-network-potential / molecular-mechanics simulation on OpenMM.",
    rich_markup_mode="markdown",  # which joins the lines of a paragraph
)
app.command()(init)
app.command()(prepare)
app.command()(run)
app.command()(analyze)
app.command()(solvation)
app.command()(binding)
app.command()(binding_relative)
app.command()(reweight)
app.command()(scan)
app.command()(conformers)
app.command()(fit_torsions)
app.command()(validate)
app.command()(doctor)
app.command()(demo)
app.add_typer(campaign, name="campaign")
app.add_typer(sample, name="sample")
app.add_typer(torsionnet, name="torsionnet")
app.add_typer(benchmark, name="benchmark")
app.add_typer(permeation, name="permeation")
app.add_typer(graphs, name="graphs")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"nnpmm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of ``nnpmm``."""
    arguments = sys.argv[1:] or ["--help"]
    if arguments[0].lower().endswith((".yaml", ".yml")):
        typer.echo(
            f"error: found the settings file {arguments[0]} and no command: nnpmm run "
            f"{arguments[0]}",
            err=True,
        )
        raise SystemExit(2)
    run_app(app, {"help": ["--help"], "version": ["--version"]}.get(arguments[0], arguments))
