"""The ladders of a calculation, each sampled in independent repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnpmm.freeenergy.ladders import write_xvg
from nnpmm.freeenergy.legs.folder import leg_directory
from nnpmm.freeenergy.legs.result import LegResult
from nnpmm.freeenergy.legs.sampling import Leg, Report, sample_leg
from nnpmm.freeenergy.legs.settings import LegTimes, SamplingSettings

__all__ = ["Announce", "Ladder", "sample_repeats", "write_energies"]

#: Called with the name of the next ladder, its repeat, counted from 1, and the number of repeats;
#: returns a function that reports the ladder's progress.
Announce = Callable[[str, int, int], Report]


@dataclass(frozen=True)
class Ladder:
    """A ladder of states.

    Attributes:
        name: of its folder.
        times: how long each state is sampled.
        create: returns the leg; called once for each repeat.
    """

    name: str
    times: LegTimes
    create: Callable[[], Leg]


def sample_repeats(
    settings: SamplingSettings,
    ladders: Sequence[Ladder],
    directory: Path,
    *,
    resume: bool,
    announce: Announce,
) -> None:
    """Sample all ladders once, then all of them again with other random numbers.

    Args:
        settings: of the calculation; they say how many repeats there are.
        ladders: in the order of sampling.
        directory: of the calculation.
        resume: continue existing legs.
        announce: see `Announce`.

    Raises:
        NnpmmError: a leg's folder has another calculation, or the simulation blew up.
    """
    for repeat in range(settings.repeats):
        for ladder in ladders:
            sample_leg(
                *(settings, ladder.times, ladder.create()),
                leg_directory(directory, ladder.name, repeat),
                seed=settings.seed + repeat,
                from_last=_from_last(ladder.times, repeat),
                resume=resume,
                report=announce(ladder.name, repeat + 1, settings.repeats),
            )


def _from_last(times: LegTimes, repeat: int) -> bool:
    """Return whether a repeat, counted from 0, begins with the last state of its ladder."""
    if times.equilibrate_from == "alternate":
        return repeat % 2 == 1
    return times.equilibrate_from == "last"


def write_energies(
    directory: Path, name: str, legs: Sequence[LegResult], lambdas: Mapping[str, Sequence[float]]
) -> None:
    """Write the energies of all repeats of a ladder for alchemlyb (`nnpmm.freeenergy.write_xvg`).

    Args:
        directory: of the calculation; the files go to its folder ``alchemlyb``.
        name: of the ladder.
        legs: its repeats.
        lambdas: of each kind of coupling, such as ``coul`` or ``vdw``, its value in each state.

    Raises:
        UnwritableError: a file cannot be written.
    """
    for repeat, leg in enumerate(legs):
        write_xvg(
            leg_directory(directory / "alchemlyb", name, repeat),
            *(leg.samples.windows, lambdas),
            temperature=leg.samples.temperature,
            interval=leg.samples.interval,
        )
