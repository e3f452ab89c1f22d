"""``nnpmm permeation permeability``: the solubility-diffusion integral."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.settings_options import DebugOption

__all__ = ["permeability"]


def permeability(
    profile: Annotated[
        Path | None,
        typer.Option(help="CSV file with height_nm, free_energy_kj, diffusivity_cm2_s, ..."),
    ] = None,
    solute: Annotated[
        str | None, typer.Option(help="Solute whose profile nnpmm permeation label umbrella wrote.")
    ] = None,
    lipid: Annotated[str, typer.Option(help="Lipid of that profile.")] = "DOPC",
    dataset: Annotated[
        Path, typer.Option("--dataset", "-d", help="Folder of the data set with that profile.")
    ] = Path("permeation-data"),
    diffusivity: Annotated[
        float | None,
        typer.Option(help="Diffusivity at all heights in cm^2/s, instead of the profile's."),
    ] = None,
    speed_up: Annotated[
        float, typer.Option(help="Divide diffusivities by this; about 4 for Martini.")
    ] = 1.0,
    temperature: Annotated[
        float | None, typer.Option(help="Temperature of a CSV profile in K; default: 300.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="JSON file to write; a PNG goes next to it.")
    ] = Path("permeability.json"),
    debug: DebugOption = False,
) -> None:
    """Compute a permeability, cm/s, from a free-energy profile and diffusivities."""
    from rich.console import Console

    from nnpmm.core.errors import ConfigError
    from nnpmm.core.files import require_suffix
    from nnpmm.permeation.files import save_figure
    from nnpmm.permeation.permeability import integral, profiles, report

    if (profile is None) == (solute is None):
        raise ConfigError("give either --profile, a CSV file, or --solute, of label umbrella")
    if solute is not None and temperature is not None:
        raise ConfigError(
            "--temperature requires --profile; a profile of label umbrella has the temperature of "
            "its data set"
        )
    require_suffix(output, ".json")
    constant = None if diffusivity is None else diffusivity / integral.CM2_PER_S
    if profile is not None:
        title = profile.stem
        found = profiles.read_profile_table(
            profile, temperature=300.0 if temperature is None else temperature, diffusivity=constant
        )
    else:
        title = f"{solute} in {lipid}"
        found = profiles.umbrella_profile(dataset, lipid, str(solute), diffusivity=constant)
    result = integral.permeability(found, speed_up=speed_up)
    report.write_permeability(output, found, result, speed_up)
    save_figure(report.permeability_figure(title, found), output.with_suffix(".png"))
    Console().print(report.permeability_table(title, result, speed_up))
    if speed_up == 1.0 and profile is None:
        typer.echo(
            "Martini diffuses about 4 times faster than nature, which is not corrected here: "
            "--speed-up 4 divides P by 4"
        )
    typer.echo(f"{output} and {output.with_suffix('.png')}")
