"""``nnpmm solvation`` of a molecule in a box of AMOEBA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpmm.cli.errors import print_result
from nnpmm.cli.free_energies import SHORT_LADDER, announcer, print_end, print_value
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import resumable, settings_with
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings

__all__ = ["amoeba_settings", "is_amoeba", "run_amoeba"]


def is_amoeba(config: Path) -> bool:
    """Return whether a settings file is that of a box of AMOEBA.

    Raises:
        InputFileError: the file cannot be read.
    """
    from nnpmm.core.settings.yaml_file import read_yaml

    read = read_yaml(config)
    return isinstance(read, dict) and not {"force_field", "system"}.isdisjoint(read)


def amoeba_settings(
    config: Path, options: Mapping[str, Any], *, refused: Mapping[str, Any], quick: bool
) -> AmoebaSolvationSettings:
    """Return the settings of a file together with those of the command line.

    Args:
        config: the settings file.
        options: settings from the command line; None where not given.
        refused: options that do not go with such a file; None where not given.
        quick: 25 ps for each state.

    Raises:
        ConfigError: one of the refused options was given, or a setting is wrong.
    """
    with starting():
        from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings

    wrong = [name for name, value in refused.items() if value is not None]
    if wrong:
        raise ConfigError(
            f"found {', '.join(wrong)} with a box of AMOEBA ({config.name}), allowed: --model, "
            "--potential, --time, --repeats, --quick, --pilot, --states, --output, --resume"
        )
    return settings_with(
        AmoebaSolvationSettings,
        config,
        options,
        defaults={"ladder": SHORT_LADDER} if quick else {},
        required=(),
        missing="",
    )


def run_amoeba(settings: AmoebaSolvationSettings, output: Path, *, resume: bool) -> None:
    """Calculate the solvation free energy that settings describe, and print it.

    Args:
        settings: of the calculation.
        output: output folder.
        resume: continue the calculation in that folder.

    Raises:
        NnpmmError: see `nnpmm.freeenergy.polarizable.run_amoeba_solvation`.
    """
    from nnpmm.freeenergy.legs import convergence_warning
    from nnpmm.freeenergy.polarizable import run_amoeba_solvation

    with resumable(output), stage_bar("solvation") as show:
        result = run_amoeba_solvation(
            settings,
            output,
            resume=resume,
            announce=lambda ladder, *n: announcer(show)(f"{ladder} ladder", *n),
            compressing=lambda done, total: show("compressing the solvent", done, total),
        )
    print_result(f"solvation free energy in {settings.label}, AMOEBA, kcal/mol")
    for name, found in result.potentials.items():
        print_value(name, found)
        for stage, part in result.stages.get(name, {}).items():
            print_value(stage, part, indent=4)
    if result.difference is not None:
        print_value("difference", result.difference)
    print_end(convergence_warning(settings.ladder), output)
