"""Messages of the library name arguments; the command line puts its options in their place."""

from __future__ import annotations

import typer

from nnpmm.cli.errors import run_app
from nnpmm.core.errors import ConfigError

app = typer.Typer()


@app.command()
def first(overwrite: bool = False) -> None:
    raise ConfigError("give overwrite=True, charge=... or HBonds=True")


@app.command()
def second(charge: int = 0) -> None:
    first()


def test_arguments_become_the_options_of_the_command(call):
    """An argument that the command has no option for stays Python's."""

    def main() -> None:
        run_app(app)

    first_error, second_error = (call(main, name).err for name in ("first", "second"))
    assert first_error == "error: give --overwrite, charge=... or HBonds=True\n"
    assert second_error == "error: give overwrite=True, --charge or HBonds=True\n"
