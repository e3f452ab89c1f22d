"""GROMACS' files: topology, coordinates, index, run settings, and program output."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.permeation.martini.engines import (
    CUTOFF,
    RELATIVE_PERMITTIVITY,
    SWITCH_DISTANCE,
    Stage,
    whole_steps,
)
from nnpmm.permeation.martini.force_field import MoleculeType, interaction
from nnpmm.permeation.martini.geometry import periodic_center
from nnpmm.permeation.martini.system import Configuration, MartiniSystem
from nnpmm.permeation.martini.tables import BEAD_MASS

__all__ = [
    "index_text",
    "mdp_text",
    "minimization_options",
    "nonbonded_options",
    "read_g96",
    "read_xvg",
    "stage_options",
    "structure_text",
    "topology_text",
]

_COMPRESSIBILITY = 3e-4  # 1/bar, of Martini water and membranes
_TAU_T, _TAU_P = 1.0, 4.0  # ps


def topology_text(system: MartiniSystem) -> str:
    """Return the topology of a system, its force field included."""
    lines = ["[ defaults ]", "1 2", "", "[ atomtypes ]"]
    lines += [f"{name} {BEAD_MASS} 0.0 A 0.0 0.0" for name in system.type_names]
    lines += ["", "[ nonbond_params ]"]
    for a, b in combinations_with_replacement(system.type_names, 2):
        epsilon, sigma = interaction(a, b)
        lines.append(f"{a} {b} 1 {sigma} {epsilon}")
    for name, kind in {kind.name: kind for kind, _ in system.molecules}.items():
        lines += _molecule_lines(_short(name, kind), kind)
    lines += ["", "[ system ]", "Martini", "", "[ molecules ]"]
    lines += [f"{_short(kind.name, kind)} {count}" for kind, count in system.molecules if count]
    return "\n".join(lines) + "\n"


def _short(name: str, kind: MoleculeType) -> str:
    """Return a name that GROMACS' fixed columns hold; a solute's graph may be long."""
    return "SOL" if kind.role == "solute" else name


def _molecule_lines(name: str, kind: MoleculeType) -> list[str]:
    lines = ["", "[ moleculetype ]", f"{name} 1", "[ atoms ]"]
    lines += [
        f"{n} {bead.type} 1 {name} {bead.name} {n} {bead.charge}"
        for n, bead in enumerate(kind.beads, start=1)
    ]
    if kind.bonds:
        lines.append("[ bonds ]")
    lines += [f"{b.i + 1} {b.j + 1} 1 {b.length} {b.force_constant}" for b in kind.bonds]
    if kind.angles:
        lines.append("[ angles ]")
    lines += [
        f"{a.i + 1} {a.j + 1} {a.k + 1} 2 {a.degrees} {a.force_constant}" for a in kind.angles
    ]
    return lines


def structure_text(system: MartiniSystem, configuration: Configuration) -> str:
    """Return a .gro file with six decimals, and with velocities where there are any."""
    lines = ["Martini", str(system.n_beads)]
    names = [
        _short(kind.name, kind)
        for kind, count in system.molecules
        for _ in range(count)
        for _ in kind.beads
    ]
    velocities = configuration.velocities
    for n, (bead, molecule) in enumerate(zip(system.beads, system.molecule_of_bead, strict=True)):
        line = f"{(molecule + 1) % 100000:5d}{names[n]:<5s}{bead.name:>5s}{(n + 1) % 100000:5d}"
        line += "".join(f"{x:11.6f}" for x in configuration.positions[n])
        if velocities is not None:
            line += "".join(f"{v:11.7f}" for v in velocities[n])
        lines.append(line)
    lines.append(" ".join(f"{edge:.6f}" for edge in configuration.box))
    return "\n".join(lines) + "\n"


def index_text(system: MartiniSystem) -> str:
    """Return groups Lipid, Solute, Water and Membrane (lipids and solute), those not empty."""
    lipids, solutes = system.select("lipid"), system.select("solute")
    groups = {
        "System": np.arange(system.n_beads),
        "Lipid": lipids,
        "Solute": solutes,
        "Membrane": np.concatenate([lipids, solutes]) if len(lipids) else lipids,
        "Water": system.select("water"),
    }
    lines = []
    for name, atoms in groups.items():
        if len(atoms):
            lines.append(f"[ {name} ]")
            numbers = (atoms + 1).tolist()
            lines += [" ".join(map(str, numbers[n : n + 15])) for n in range(0, len(numbers), 15)]
    return "\n".join(lines) + "\n"


def nonbonded_options() -> dict[str, object]:
    """Return the options of the non-bonded interactions, for every kind of run."""
    return {
        "cutoff-scheme": "Verlet",
        "nstlist": 20,
        "verlet-buffer-tolerance": 0.005,
        "pbc": "xyz",
        "coulombtype": "reaction-field",
        "rcoulomb": CUTOFF,
        "epsilon-r": RELATIVE_PERMITTIVITY,
        "epsilon-rf": 0,  # stands for infinity
        "vdwtype": "cut-off",
        "vdw-modifier": "force-switch",
        "rvdw-switch": SWITCH_DISTANCE,
        "rvdw": CUTOFF,
    }


def minimization_options(steps: int) -> dict[str, object]:
    """Return the options of a steepest-descent minimisation."""
    return {
        **nonbonded_options(),
        "integrator": "steep",
        "nsteps": steps,
        "emtol": 50.0,
        "emstep": 0.02,
    }


def stage_options(
    system: MartiniSystem, configuration: Configuration, stage: Stage
) -> dict[str, object]:
    """Return the options of a stage of dynamics with the v-rescale thermostat."""
    membrane = system.count("lipid") > 0
    groups = "Membrane Water" if membrane else "System"
    n_groups = len(groups.split())
    frames = whole_steps(stage.frame_interval, stage.timestep) if stage.frame_interval else 0
    options: dict[str, object] = {
        **nonbonded_options(),
        "integrator": "md",
        "dt": stage.timestep,
        "nsteps": whole_steps(stage.length, stage.timestep),
        "nstxout": frames,
        "nstvout": 0,
        "nstlog": frames or 5000,
        "nstenergy": frames or 5000,
        "nstcalcenergy": 100,
        "comm-mode": "linear",
        "comm-grps": groups,
        "tcoupl": "v-rescale",
        "tc-grps": groups,
        "tau-t": " ".join([str(_TAU_T)] * n_groups),
        "ref-t": " ".join([str(stage.temperature)] * n_groups),
        "ld-seed": stage.seed,
        "gen-vel": "yes" if configuration.velocities is None else "no",
        "gen-temp": stage.temperature,
        "gen-seed": stage.seed,
        "continuation": "no" if configuration.velocities is None else "yes",
    }
    if stage.ensemble == "NPT":
        options |= _pressure_options(stage)
    if stage.restraint is not None:
        options |= _restraint_options(system, configuration, stage)
    return options


def _pressure_options(stage: Stage) -> dict[str, object]:
    n = 1 if stage.isotropic else 2
    return {
        "pcoupl": "berendsen" if stage.relaxing else "c-rescale",
        "pcoupltype": "isotropic" if stage.isotropic else "semiisotropic",
        "tau-p": _TAU_P,
        "ref-p": " ".join([str(stage.pressure)] * n),
        "compressibility": " ".join([str(_COMPRESSIBILITY)] * n),
    }


def _restraint_options(
    system: MartiniSystem, configuration: Configuration, stage: Stage
) -> dict[str, object]:
    """Return the options of the restraint on z; its reference is a bead near the midplane."""
    if stage.restraint is None:
        return {}
    lipids = system.select("lipid")
    heights, edge = configuration.positions[lipids, 2], float(configuration.box[2])
    offsets = heights - periodic_center(heights, edge)
    central = int(lipids[np.argmin(np.abs(offsets - edge * np.round(offsets / edge)))])
    return {
        "pull": "yes",
        "pull-ngroups": 2,
        "pull-ncoords": 1,
        "pull-nstxout": 0,
        "pull-nstfout": 0,
        "pull-group1-name": "Lipid",
        "pull-group1-pbcatom": central + 1,
        "pull-group2-name": "Solute",
        "pull-pbc-ref-prev-step-com": "yes",
        "pull-coord1-type": "umbrella",
        "pull-coord1-geometry": "direction",
        "pull-coord1-groups": "1 2",
        "pull-coord1-vec": "0 0 1",
        "pull-coord1-init": stage.restraint.z,
        "pull-coord1-k": stage.restraint.force_constant,
    }


def mdp_text(options: Mapping[str, object]) -> str:
    """Return run settings as GROMACS reads them."""
    return "".join(f"{name} = {value}\n" for name, value in options.items())


def read_g96(path: Path) -> Configuration:
    """Read a configuration from a .g96 file, which has nine decimals."""
    blocks: dict[str, list[str]] = {}
    block = ""
    for line in path.read_text().splitlines():
        if not block:
            block = line.strip()
            blocks[block] = []
        elif line.strip() == "END":
            block = ""
        else:
            blocks[block].append(line)
    box = np.array(blocks["BOX"][0].split()[:3], dtype=np.float64)
    velocities = _coordinates(blocks["VELOCITY"]) if "VELOCITY" in blocks else None
    return Configuration(_coordinates(blocks["POSITION"]), box, velocities)


def _coordinates(lines: list[str]) -> NDArray[np.float64]:
    return np.array([line[24:].split() for line in lines], dtype=np.float64)


def read_xvg(path: Path) -> NDArray[np.float64]:
    """Read the columns of an .xvg file as (rows, columns)."""
    rows = [line for line in path.read_text().splitlines() if line and line[0] not in "#@"]
    return np.array([row.split() for row in rows], dtype=np.float64)
