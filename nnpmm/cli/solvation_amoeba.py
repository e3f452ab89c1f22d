"""``nnpmm solvation`` of a molecule in a box of AMOEBA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnpmm.cli.errors import print_result
from nnpmm.cli.free_energies import SHORT_LADDER, announcer, print_end, print_value
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import resumable, settings_with
from nnpmm.core.errors import ConfigError

__all__ = ["is_amoeba", "run_amoeba"]


def is_amoeba(config: Path) -> bool:
    """Whether a settings file is that of a box of AMOEBA.

    Raises:
        InputFileError: the file cannot be read.
    """
    from nnpmm.core.settings.yaml_file import read_yaml

    read = read_yaml(config)
    return isinstance(read, dict) and not {"force_field", "system"}.isdisjoint(read)


def run_amoeba(
    config: Path,
    options: Mapping[str, Any],
    *,
    refused: Mapping[str, Any],
    output: Path,
    resume: bool,
    quick: bool,
) -> None:
    """Calculate the solvation free energy that a settings file describes, and print it.

    Args:
        config: the settings file.
        options: settings from the command line; None where not given.
        refused: options that do not go with such a file; None where not given.
        output: folder of the calculation.
        resume: go on with what is there.
        quick: 25 ps for each state.

    Raises:
        ConfigError: one of the refused options was given.
        NnpmmError: see `nnpmm.freeenergy.polarizable.run_amoeba_solvation`.
    """
    with starting():
        from nnpmm.freeenergy.legs import convergence_warning
        from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings, run_amoeba_solvation

    wrong = [name for name, value in refused.items() if value is not None]
    if wrong:
        raise ConfigError(
            f"found {', '.join(wrong)} with a box of AMOEBA ({config.name}), allowed: --model, "
            "--potential, --time, --repeats, --quick, --output, --resume"
        )
    settings = settings_with(
        *(AmoebaSolvationSettings, config, options),
        defaults={"ladder": SHORT_LADDER} if quick else {},
        required=(),
        missing="",
    )
    with resumable(output), stage_bar("solvation") as show:
        result = run_amoeba_solvation(
            *(settings, output),
            resume=resume,
            announce=lambda ladder, *n: announcer(show)(f"{ladder} ladder", *n),
        )
    print_result(f"solvation free energy in {settings.system.xyz.name}, AMOEBA, kcal/mol")
    for name, found in result.potentials.items():
        print_value(name, found)
        for stage, part in result.stages.get(name, {}).items():
            print_value(stage, part, indent=4)
    if result.difference is not None:
        print_value("difference", result.difference)
    print_end(convergence_warning(settings.ladder), output)
