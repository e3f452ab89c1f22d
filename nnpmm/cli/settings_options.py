"""Options that several commands share, and how they combine with a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "ConfigArgument",
    "CoordinatesOption",
    "DebugOption",
    "JsonOption",
    "LigandOption",
    "OutputOption",
    "ResumeOption",
    "SmilesOption",
    "TemplateOption",
    "TopologyOption",
    "molecule_section",
    "resumable",
    "settings_with",
]

SmilesOption = Annotated[str | None, typer.Option("--smiles", help="SMILES of the molecule.")]
LigandOption = Annotated[
    Path | None, typer.Option("--ligand", help="SDF or MOL2 file of the molecule.")
]
TopologyOption = Annotated[
    Path | None, typer.Option("--topology", help="Amber topology of the molecule alone.")
]
CoordinatesOption = Annotated[
    Path | None, typer.Option("--coordinates", help="Amber coordinates, with --topology.")
]
ConfigArgument = Annotated[
    Path | None, typer.Argument(help="YAML file of settings (see --template).")
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Output folder.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue the calculation in that folder.")
]
TemplateOption = Annotated[
    bool, typer.Option("--template", help="Print a commented settings file and exit.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

Settings = TypeVar("Settings", bound="BaseModel")


def settings_with(
    model: type[Settings],
    config: Path | None,
    options: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
    required: tuple[str, ...],
    missing: str,
) -> Settings:
    """Return the settings of a file, if there is one, with those of the command line.

    Args:
        model: of the settings.
        config: the file.
        options: settings from the command line; None and empty sections are left out.
        defaults: settings that file and command line replace.
        required: settings that are needed without a file.
        missing: message of the error if one of them is missing.

    Raises:
        ConfigError: one is missing, or a setting is wrong.
        InputFileError: the file cannot be read.
    """
    from nnpmm.core.settings.merging import merged
    from nnpmm.core.settings.reading import parse_settings
    from nnpmm.core.settings.yaml_file import read_yaml

    given = {name: value for name, value in options.items() if value not in (None, {})}
    data, base, source = dict(defaults), Path(), "command line"
    if config is not None:
        read = read_yaml(config)
        if not isinstance(read, dict):
            raise ConfigError(f"{config.name}: found no keys, expected such as {required[0]!r}")
        data, base, source = merged(data, read), config.absolute().parent, config.name
    elif not set(required) <= set(given):
        raise ConfigError(missing)
    return parse_settings(model, merged(data, given), source=source, base=base)


def molecule_section(
    smiles: str | None,
    ligand: Path | None,
    topology: Path | None,
    coordinates: Path | None,
    charge: int | None = None,
) -> dict[str, Any]:
    """Return the section of a molecule from its options, with absolute paths."""
    files = {"file": ligand, "topology": topology, "coordinates": coordinates}
    values = {"smiles": smiles, "charge": charge}
    found = {name: value for name, value in values.items() if value is not None}
    return found | {name: str(p.absolute()) for name, p in files.items() if p is not None}


@contextmanager
def resumable(output: Path, how: str = "the same command and --resume") -> Iterator[None]:
    """End at Ctrl-C with a line that says how to continue, and exit status 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped; continue with {how} ({output})", err=True)
        raise typer.Exit(130) from None
