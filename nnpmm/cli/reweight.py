"""``nnpmm reweight``: correct a free energy to the network, from trajectories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import DebugOption, JsonOption
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy import Reweighting
    from nnpmm.simulation import RunConfig

__all__ = ["reweight"]


def reweight(
    config: Annotated[
        Path, typer.Argument(help="Settings of nnpmm run: system, region and temperature.")
    ],
    trajectory: Annotated[
        list[Path] | None,
        typer.Option("--trajectory", "-x", help="Trajectory of the force field; may be repeated."),
    ] = None,
    network_trajectory: Annotated[
        list[Path] | None,
        typer.Option("--network-trajectory", help="Trajectory of NNP/MM, for a smaller error."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="Settings of the reference environment, such as vacuum."),
    ] = None,
    reference_trajectory: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference-trajectory", help="Trajectory of the force field in the reference."
        ),
    ] = None,
    reference_network_trajectory: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference-network-trajectory", help="Trajectory of NNP/MM in the reference."
        ),
    ] = None,
    leave_out_changed_bonds: Annotated[
        bool,
        typer.Option(
            "--leave-out-changed-bonds",
            help="Leave out frames in which bonds of the region broke or formed; else an error.",
        ),
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Correct a free energy of the force field to the network, from trajectories of any program.

    With --reference the result is the difference between two environments: the correction to the
    force field's free energy of transfer from the reference, such as a solvation free energy.
    """
    with starting():
        from nnpmm.simulation import difference_of, load_config

    if (reference is None) != (reference_trajectory is None):
        raise ConfigError("found --reference or --reference-trajectory alone: give both or neither")
    here = load_config(config)
    there = None if reference is None else load_config(reference)
    if there is not None:
        _require_one_network(here, there)
    frames = trajectory or [], network_trajectory or []
    found = _reweighted(here, *frames, leave_out=leave_out_changed_bonds)
    data: dict[str, Any] = {"settings": str(config), **_record(found)}
    lines = [_line(config, found)]
    if reference is not None and there is not None:
        frames = reference_trajectory or [], reference_network_trajectory or []
        other = _reweighted(there, *frames, leave_out=leave_out_changed_bonds)
        difference = difference_of(found, other)
        data["reference"] = {"settings": str(reference), **_record(other)}
        data["difference"] = {"kJ/mol": difference.value, "error": difference.error}
        lines += [
            _line(reference, other),
            f"{config} minus {reference}: {_text(difference.value, difference.error)}; add it to "
            "the force field's free energy of going from the second to the first",
        ]
    print_result(json.dumps(data, indent=1) if as_json else "\n".join(lines))


def _require_one_network(here: RunConfig, there: RunConfig) -> None:
    """Require that two environments have the same network, coupling and temperature."""
    pairs = {
        "ensemble.temperature": (here.ensemble.temperature, there.ensemble.temperature),
        "region.model": (here.region.model, there.region.model),
        "region.members": (here.region.members, there.region.members),
        "coupling.type": (here.coupling.type, there.coupling.type),
    }
    for name, (first, second) in pairs.items():
        if first != second:
            raise ConfigError(f"{name}: found {first} and {second} in the two settings files")


def _reweighted(
    config: RunConfig,
    trajectories: Sequence[Path],
    network_trajectories: Sequence[Path],
    *,
    leave_out: bool,
) -> Reweighting:
    from nnpmm.simulation import reweight_trajectories

    with stage_bar("reweight") as show:
        return reweight_trajectories(
            config,
            trajectories,
            network_trajectories,
            leave_out_changed_bonds=leave_out,
            progress=lambda path, done, total: show(path.name, done, total),
        )


def _record(result: Reweighting) -> dict[str, Any]:
    return {
        "kJ/mol": result.difference,
        "error": result.error,
        "overlap": result.overlap,
        "effective_samples": result.effective_samples,
        "independent_samples": list(result.independent_samples),
    }


def _line(config: Path, result: Reweighting) -> str:
    return (
        f"{config}: network minus force field {_text(result.difference, result.error)}, overlap "
        f"{result.overlap:.2f}, {' + '.join(map(str, result.independent_samples))} independent "
        "frames"
    )


def _text(value: float, error: float) -> str:
    kcal = f"{value / KJ_PER_KCAL:.2f} ± {error / KJ_PER_KCAL:.2f} kcal/mol"
    return f"{value:.2f} ± {error:.2f} kJ/mol ({kcal})"
