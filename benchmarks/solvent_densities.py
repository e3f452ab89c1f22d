"""Compare densities of liquids that nnpmm builds from SMILES with experiment.

The script prints a table and writes results/solvent_densities.json. It takes an hour on one core.
Usage: python benchmarks/solvent_densities.py [--time PS] [--platform NAME] [NAME ...]
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from common import data_folder, write_results
from openmm import app, unit

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.freeenergy import subsample
from nnpmm.freeenergy.legs import SamplingSettings, create_simulation
from nnpmm.freeenergy.solvation import SoluteSettings
from nnpmm.freeenergy.solvation.settings import SOLVENTS
from nnpmm.sampling import compress_liquid
from nnpmm.structures import MMSystem, create_liquid, typical_density
from nnpmm.structures.ligands.source import read_molecule

ATOMS, COMPRESSION, INTERVAL = 1300, 100.0, 0.5  # ps, ps
WATER_DENSITY = 0.997
# Entries of FreeSolv, whose files contain GAFF parameters with AM1-BCC charges.
AMBER = {"acetonitrile": "mobley_7532833", "dmso": "mobley_8578590"}
# g/ml at 298.15 K and 1 bar: CRC Handbook of Chemistry and Physics, tables "Physical constants of
# organic compounds" and "Properties of water".
EXPERIMENT = {"water": WATER_DENSITY, "toluene": 0.8623, "acetonitrile": 0.7766, "dmso": 1.0955}


@dataclass(frozen=True)
class Liquid:
    """A liquid, and a function for its box, typical density (g/ml) and parameter source."""

    name: str
    build: Callable[[], tuple[MMSystem, float, str]]


def from_solute(solute: SoluteSettings) -> tuple[MMSystem, float, str]:
    """Build a liquid of the molecules of a solute."""
    molecule, parameters = read_molecule(solute)
    count = round(ATOMS / molecule.GetNumAtoms())
    box = create_liquid(molecule, parameters, count, hydrogen_mass=3.0, seed=1)
    return box, typical_density(molecule), parameters.provider.split(":")[0]


def from_freesolv(files: SoluteSettings) -> tuple[MMSystem, float, str]:
    """Build a liquid with parameters of FreeSolv."""
    box, typical, _ = from_solute(files)
    return box, typical, "FreeSolv"


def water() -> tuple[MMSystem, float, str]:
    """Build a box of TIP3P water."""
    force_field = app.ForceField("amber14/tip3p.xml")
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(force_field, model="tip3p", numAdded=ATOMS // 3)
    system = force_field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9, hydrogenMass=3.0
    )
    box = modeller.topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
    return MMSystem(modeller.topology, positions, np.array(box), system), WATER_DENSITY, "TIP3P"


def liquids(amber: Path) -> list[Liquid]:
    """Return all liquids; those of FreeSolv only if its files are available."""
    found = [Liquid("water", water)]
    for name in ("toluene", "acetonitrile", "dmso"):
        solute = SoluteSettings(smiles=SOLVENTS[name], parameters="fallback")
        found.append(Liquid(name, partial(from_solute, solute)))
    for name, entry in AMBER.items():
        path = amber / f"{entry}.prmtop"
        if path.exists():
            files = SoluteSettings(topology=path, coordinates=path.with_suffix(".inpcrd"))
            found.append(Liquid(f"{name}, GAFF", partial(from_freesolv, files)))
    return found


def measure(liquid: Liquid, settings: SamplingSettings, time: float) -> dict[str, object]:
    """Return the density of a liquid with its error, and the experimental one."""
    box, typical, provider = liquid.build()
    simulation = create_simulation(settings, box.system, box, 1)
    compress_liquid(simulation, time=COMPRESSION, typical=typical)
    masses = [box.system.getParticleMass(i)._value for i in range(box.system.getNumParticles())]
    steps, series = round(INTERVAL / settings.timestep), []
    for _ in range(round(time / INTERVAL)):
        simulation.step(steps)
        volume = simulation.context.getState().getPeriodicBoxVolume()._value
        series.append(DALTON_PER_NM3_IN_G_PER_ML * sum(masses) / volume)
    densities = np.array(series)
    kept = subsample(densities, equilibration=True)
    used = densities[kept[0] :]
    error = float(used.std(ddof=1)) / len(kept) ** 0.5
    experiment = EXPERIMENT[liquid.name.split(",")[0]]
    return {
        "liquid": liquid.name,
        "parameters": provider,
        "atoms": len(masses),
        "ps": time,
        "density_g_ml": round(float(used.mean()), 5),
        "error_g_ml": round(error, 5),
        "independent_samples": len(kept),
        "experiment_g_ml": experiment,
        "difference_percent": round(100 * (float(used.mean()) / experiment - 1), 2),
        "typical_g_ml": round(typical, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these liquids")
    parser.add_argument("--time", type=float, default=300.0, help="ps")
    parser.add_argument("--platform", default="CPU")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("nnpmm.structures.ligands").setLevel(logging.ERROR)
    settings = SamplingSettings(platform=given.platform, threads=given.threads, pressure=1.0)
    rows = []
    for liquid in liquids(data_folder() / "freesolv/amber"):
        if given.names and liquid.name not in given.names:
            continue
        rows.append(measure(liquid, settings, given.time))
        print(rows[-1], flush=True)
        about = {"compression_ps": COMPRESSION, "temperature_k": settings.temperature}
        path = write_results("solvent_densities", {**about, "rows": rows})
    print(path)


if __name__ == "__main__":
    main()
