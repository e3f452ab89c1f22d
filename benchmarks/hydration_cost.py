"""Compare the cost of the ladders of a hydration free energy: network, joint and force field.

The script times iterations of replica exchange of the three ladders in turn, for molecules of
FreeSolv in default boxes. An iteration is 250 steps of 4 fs in every state, and the energies of
every sample in every state. With one thread, the times are processor times, which other programs
disturb little.
Run: python benchmarks/hydration_cost.py [--threads 1] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import data_folder, write_results
from rich.console import Console
from rich.table import Table

from nnpmm.benchmarking import time_in_turn
from nnpmm.freeenergy.legs import create_simulation
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings
from nnpmm.freeenergy.solvation.ladders import create_leg
from nnpmm.freeenergy.solvation.settings import LadderName
from nnpmm.freeenergy.solvation.solvent import solvated_solute
from nnpmm.sampling import ExchangeRecord, ExchangeSettings, ReplicaExchange, separate_groups
from nnpmm.structures import MMSystem
from nnpmm.structures.ligands.source import read_molecule

MOLECULES = {"mobley_7532833": "acetonitrile", "mobley_8127829": "ethylbenzene"}
LADDERS: tuple[LadderName, ...] = ("force field", "network", "joint")
STEPS = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    results = {}
    table = Table("molecule", "atoms", *LADDERS, "network / force field", "joint / force field")
    for key, name in MOLECULES.items():
        settings = SolvationSettings(solute=solute(key), threads=arguments.threads)
        with tempfile.TemporaryDirectory() as folder:
            molecule, parameters = read_molecule(settings.solute)
            box = solvated_solute(settings, Path(folder), molecule, parameters, None)
            calls: dict[str, Callable[[], None]] = {
                ladder: iteration(settings, box, ladder, Path(folder) / ladder)
                for ladder in LADDERS
            }
            times = time_in_turn(calls, rounds=arguments.rounds, clock=clock)
        count = box.system.getNumParticles()
        ratios = {name: times[name].median / times["force field"].median for name in LADDERS}
        results[name] = {
            "atoms": count,
            "solute_atoms": molecule.GetNumAtoms(),
            "seconds": {ladder: [t / 1000 for t in times[ladder]] for ladder in LADDERS},
            "over_force_field": ratios,
        }
        table.add_row(
            *(name, str(count)),
            *(f"{times[ladder].median / 1000:.1f} s" for ladder in LADDERS),
            *(f"{ratios[ladder]:.2f}" for ladder in LADDERS[1:]),
        )
    Console().print(table)
    about = {"threads": arguments.threads, "clock": clock.__name__}
    print(write_results("hydration_cost", {**about, "molecules": results}))


def solute(key: str) -> SoluteSettings:
    """Return the settings of a molecule of FreeSolv."""
    folder = data_folder() / "freesolv" / "amber"
    return SoluteSettings(topology=folder / f"{key}.prmtop", coordinates=folder / f"{key}.inpcrd")


def iteration(
    settings: SolvationSettings, box: MMSystem, ladder: LadderName, folder: Path
) -> Callable[[], None]:
    """Return a function that runs one more iteration of a briefly equilibrated ladder."""
    leg = create_leg(settings, box, ladder)
    separate_groups(leg.system, leg.states[0])
    simulation = create_simulation(settings, leg.system, leg.mm, seed=1)
    exchange = ExchangeSettings(
        states=leg.states,
        temperature=settings.temperature,
        timestep=settings.timestep,
        steps=STEPS,
        n_atoms=leg.system.getNumParticles(),
    )
    sampler = ReplicaExchange(simulation, ExchangeRecord(folder, exchange, resume=False))
    sampler.energies.apply(0)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(settings.temperature, 1)
    sampler.equilibrate(500)
    return lambda: sampler.sample(sampler.currentIteration + 1, checkpoint_every=10)


if __name__ == "__main__":
    main()
