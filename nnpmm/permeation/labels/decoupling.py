"""Direct free energies: a solute is decoupled from its surroundings, in membrane and in water.

The solute's Lennard-Jones interactions with everything else are switched off through a soft core
(Beutler et al., Chem. Phys. Lett. 1994, 222, 529) in a series of simulations by GROMACS, which MBAR
combines. With the solute restrained at the midplane in all states of the membrane,

    dG = dF_decouple(water) - dF_decouple(membrane),

since the decoupled solute has the same free energy everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.fields import Pressure, Section, Temperature, Time
from nnpmm.freeenergy.ladders import solve_ladder
from nnpmm.permeation.martini.engines import Restraint, Stage, whole_steps
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.system import Configuration, MartiniSystem
from nnpmm.permeation.runs.simulations import StageProgress

__all__ = ["Decoupling", "DecouplingSettings", "decouple", "join_states", "read_dhdl"]

_LEGEND = re.compile(r'^@ s(\d+) legend "\\xD\\f\{\}H ')
_SOFT_CORE = {"sc-alpha": 0.5, "sc-power": 1, "sc-sigma": 0.47}


class DecouplingSettings(Section):
    """Lengths of a series of decoupling simulations."""

    states: int = Field(
        12, ge=3, description="number of states from coupled to decoupled, evenly spaced"
    )
    equilibration: Time = Field(200.0, gt=0, description="equilibration of each state, in ps")
    production: Time = Field(2_000.0, gt=0, description="sampling of each state, in ps")
    timestep: Time = Field(0.02, gt=0, le=0.04, description="time step, in ps")
    sample_interval: Time = Field(2.0, gt=0, description="time between energies, in ps")
    temperature: Temperature = Field(300.0, gt=0, description="temperature, in K")
    pressure: Pressure = Field(1.0, description="pressure, in bar")


@dataclass(frozen=True)
class Decoupling:
    """Free energy of decoupling a solute, kJ/mol, its standard deviation, and the overlap."""

    free_energy: float
    error: float
    overlap: float
    samples: int


def decouple(
    system: MartiniSystem,
    start: Configuration,
    engine: GromacsEngine,
    directory: Path,
    settings: DecouplingSettings | None = None,
    *,
    restraint: Restraint | None = None,
    seed: int = 1,
    progress: StageProgress | None = None,
) -> Decoupling:
    """Return the free energy of decoupling the solute of a system from the rest.

    Every state starts from the end of the previous one; finished states are not run again.

    Args:
        system: with one solute.
        start: an equilibrated configuration.
        engine: GROMACS.
        directory: for its files.
        settings: lengths; the defaults if None.
        restraint: of the solute's height, in a membrane.
        seed: of velocities and thermostats.
        progress: called for every state.

    Raises:
        SimulationError: GROMACS failed, or neighbouring states overlap too little.
    """
    settings = settings or DecouplingSettings()
    directory.mkdir(parents=True, exist_ok=True)
    configuration, energies = start, []
    for state in range(settings.states):
        done = directory / f"state-{state:02d}.safetensors"
        if not done.exists():
            final, found = _run_state(
                system, configuration, engine, directory, settings, state, restraint, seed
            )
            arrays = {"positions": final.positions, "box": final.box, "energies": found}
            save_arrays(done, arrays, {})
        arrays, _ = load_arrays(done)
        configuration = Configuration(arrays["positions"], arrays["box"])
        energies.append(arrays["energies"])
        if progress is not None:
            progress(f"state {state}", settings.production, settings.production)
    return join_states(energies, settings.temperature)


def join_states(energies: Sequence[NDArray[np.float64]], temperature: float) -> Decoupling:
    """Return the free energy from the first to the last of a series of states by MBAR.

    Args:
        energies: for each state (samples, states), kJ/mol, of its samples in all states; a constant
            may be added to a row.
        temperature: K.

    Raises:
        SimulationError: two neighbouring states overlap too little.
    """
    found = solve_ladder(energies, temperature=temperature)
    ends = found.between()
    return Decoupling(ends.value, ends.error, found.spectral_gap, int(found.samples.sum()))


def _run_state(
    system: MartiniSystem,
    start: Configuration,
    engine: GromacsEngine,
    directory: Path,
    settings: DecouplingSettings,
    state: int,
    restraint: Restraint | None,
    seed: int,
) -> tuple[Configuration, NDArray[np.float64]]:
    """Run one state; return its end and (samples, states) energies relative to its own, kJ/mol."""
    stage = Stage(
        name=f"state-{state:02d}",
        length=settings.equilibration + settings.production,
        timestep=settings.timestep,
        ensemble="NPT",
        isotropic=system.count("lipid") == 0,
        temperature=settings.temperature,
        pressure=settings.pressure,
        restraint=restraint,
        seed=seed + state,
    )
    every = whole_steps(settings.sample_interval, settings.timestep)
    result = engine.run(system, start, stage, directory, extra=_options(settings, state, every))
    times, energies = read_dhdl(directory / f"{stage.name}.xvg")
    return result.configuration, energies[times > settings.equilibration]


def _options(settings: DecouplingSettings, state: int, every: int) -> dict[str, object]:
    """Return the options of a state.

    Stochastic dynamics thermostat every bead: a decoupled solute exchanges no heat with the rest.
    """
    lambdas = np.linspace(0.0, 1.0, settings.states)
    return {
        "integrator": "sd",
        "tcoupl": "no",
        "free-energy": "yes",
        "couple-moltype": "SOL",
        "couple-lambda0": "vdw",
        "couple-lambda1": "none",
        "couple-intramol": "no",
        "vdw-lambdas": " ".join(f"{value:.5f}" for value in lambdas),
        "init-lambda-state": state,
        "calc-lambda-neighbors": -1,
        "nstdhdl": every,
        "nstcalcenergy": every,
        **_SOFT_CORE,
    }


def read_dhdl(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read times, ps, and (samples, states) energy differences to all states, kJ/mol."""
    columns, rows = [], {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _LEGEND.match(line)
        if match is not None:
            columns.append(int(match.group(1)) + 1)
        elif line and line[0] not in "#@":
            values = [float(word) for word in line.split()]
            rows[values[0]] = values  # a restart repeats a time
    table = np.array(list(rows.values()))
    return table[:, 0], table[:, columns]
