"""Calculate relative binding free energies of Tyk2 ligands and compare them with experiment.

Protein, poses and measured inhibition constants come from the protein-ligand benchmark set. A row
is marked "not converged" unless every state was sampled for 500 ps or more. The script also stores
the hysteresis of neighbouring states. If states overlap too little, there is no value.
Run: python benchmarks/tyk2.py [--edge lig_ejm_31,lig_ejm_42 ...] [--time 1000] [--resume]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml
from common import data_folder, write_results
from rich.console import Console
from rich.table import Table

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.legs import Report, convergence_warning, leg_directory, text_in_kcal
from nnpmm.freeenergy.relative import RelativeSettings, run_network
from nnpmm.freeenergy.relative.result import measured_values
from nnpmm.freeenergy.relative.workflow import edge_directory
from nnpmm.sampling import read_samples

UNITS = {"uM": 1e-6, "nM": 1e-9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", action="append", help="two ligands, as A,B")
    parser.add_argument("--potential", action="append", help="default: both")
    parser.add_argument("--time", type=float, default=1000.0, help="time for each state, ps")
    parser.add_argument("--equilibration", type=float, default=100.0, help="ps")
    parser.add_argument("--interval", type=float, default=1.0, help="time between exchanges, ps")
    parser.add_argument("--members", type=int, help="first networks of the ensemble; default: all")
    parser.add_argument("--platform", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=Path("tyk2"))
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    settings = read_settings(arguments)
    measured = measured_values(settings)
    warning = convergence_warning(settings.ladder)
    about = {
        "converged": warning is None,
        "ps_per_state": settings.ladder.time,
        "model": settings.model,
        "network_weights": settings.network,
        "measured_kJ/mol": measured,
    }
    output = arguments.output
    try:
        result = run_network(settings, output, resume=arguments.resume, announce=announced)
    except SimulationError:
        about["hysteresis_kT"] = hysteresis_of_ladders(settings, output)
        print(write_results("tyk2", {**about, "value": None}))
        raise
    about["hysteresis_kT"] = hysteresis_of_ladders(settings, output)
    table = Table("first", "second", *settings.potentials, "measured", "")
    for edge in result.edges:
        first, second = edge.ligands
        experiment = (measured[second] - measured[first]) / KJ_PER_KCAL
        values = [text_in_kcal(edge.potentials[name]) for name in settings.potentials]
        note = "" if warning is None else "not converged"
        table.add_row(first, second, *values, f"{experiment:.2f}", note)
    Console().print(table)
    print(write_results("tyk2", {**about, **result.record()}))


def hysteresis_of_ladders(settings: RelativeSettings, output: Path) -> dict[str, list[float]]:
    """Return the hysteresis of each ladder; see `hysteresis`."""
    return {name: hysteresis(settings, output, name) for name in settings.ladders}


def hysteresis(settings: RelativeSettings, output: Path, ladder: str) -> list[float]:
    """Return the hysteresis between neighbouring states of the first edge's first repeat, kT.

    It is the mean work to switch from a state to the next plus the mean work to switch back.
    """
    folder = leg_directory(edge_directory(output, settings.edges[0]), ladder, 0)
    energies = read_samples(folder).energies / thermal_energy(settings.temperature)
    own = np.diagonal(energies, axis1=1, axis2=2)  # (iterations, states)
    found = []
    for first in range(own.shape[1] - 1):
        forward = energies[:, first, first + 1] - own[:, first]
        back = energies[:, first + 1, first] - own[:, first + 1]
        found.append(float(forward.mean() + back.mean()))
    return found


def read_settings(arguments: argparse.Namespace) -> RelativeSettings:
    """Return the settings of the calculation from the command line."""
    folder = data_folder() / "tyk2"
    edges = [pair.split(",") for pair in arguments.edge or ["lig_ejm_31,lig_ejm_42"]]
    ligands = yaml.safe_load((folder / "ligands.yml").read_text())
    constants = {
        name: entry["measurement"]["value"] * UNITS[entry["measurement"]["unit"]]
        for name, entry in ligands.items()
        if any(name in edge for edge in edges)
    }
    times = {
        "time": arguments.time,
        "equilibration": arguments.equilibration,
        "interval": arguments.interval,
        "state_equilibration": arguments.equilibration / 10,
    }
    return RelativeSettings(
        protein=folder / "protein.pdb",
        ligands=folder / "ligands.sdf",
        edges=edges,
        measured=constants,
        potentials=arguments.potential or ("network", "force field"),
        members=None if arguments.members is None else tuple(range(arguments.members)),
        platform=arguments.platform,
        threads=arguments.threads,
        ladder=times,
    )


def announced(edge: tuple[str, str], ladder: str, repeat: int, repeats: int) -> Report:
    """Print the start of a ladder; return a function that reports no progress."""
    print(f"{edge[0]} to {edge[1]}, {ladder}, repeat {repeat} of {repeats}", flush=True)
    return lambda *_: None


if __name__ == "__main__":
    main()
