"""Run the calculations of a list with any command in the folder of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnpmm.calculations.commands import find_command
from nnpmm.campaigns import (
    Attempt,
    CalculationList,
    CampaignResult,
    ClusterSettings,
    Listed,
    Output,
    ReportCallback,
    listed,
    output_of,
    run_listed,
)
from nnpmm.core.errors import ConfigError

__all__ = ["calculate", "calculations_of", "run_list"]


def run_list(
    found: CalculationList,
    folder: Path,
    *,
    cluster: ClusterSettings | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
) -> CampaignResult:
    """Run the calculations of a list that have no result yet.

    The first attempt of each has the seed of its settings; after a failure, the second has another.

    Args:
        found: the list, from `nnpmm.campaigns.read_list`.
        folder: of the campaign, created if necessary.
        cluster: where jobs run; one local worker if None.
        retry_failed: repeat failed calculations.
        report: called with every job that ends.

    Raises:
        ConfigError: settings are wrong, two rows are the same calculation, one was started in this
            folder with other settings, or another campaign works there.
        InputFileError: a file that settings name cannot be read.
        NnpmmError: others of `nnpmm.campaigns.run_campaign`.
    """
    return run_listed(
        calculations_of(found),
        found.command,
        calculate,
        folder,
        cluster=cluster,
        retry_failed=retry_failed,
        report=report,
    )


def calculations_of(found: CalculationList) -> list[Listed]:
    """Return the calculations of a list, their settings checked.

    Raises:
        ConfigError: the command is unknown, settings are wrong, or two rows are the same.
        InputFileError: a file that settings name cannot be read.
    """
    command, seen = find_command(found.command), dict[str, str]()
    calculations = []
    for row in found.rows:
        settings = command.read(found.settings_of(row), row.place, found.base)
        one = listed(row, settings)
        if one.digest in seen:
            raise ConfigError(
                f"{row.place}: found the same settings as in {seen[one.digest]}, which would give "
                "the same result; change the seed, or remove one of them"
            )
        seen[one.digest] = row.place
        calculations.append(one)
    return calculations


def calculate(command: str, settings: Mapping[str, Any], *, attempt: Attempt) -> Output:
    """Run or continue a command in its folder, as the job of a campaign.

    Args:
        command: one of `COMMANDS`.
        settings: of the calculation, as JSON.
        attempt: of the campaign.
    """
    known = find_command(command)
    own = known.read(dict(settings), command, attempt.work)
    if attempt.number:
        own = own.model_copy(update={"seed": attempt.seed})
    return output_of(known.run(own, attempt))
