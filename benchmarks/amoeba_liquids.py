"""Measure densities of liquids in AMOEBA, in boxes packed from one molecule and Tinker parameters.

The liquids are toluene, acetonitrile and DMSO with the atom types of amoeba09.prm, at 298.15 K and
1 bar. Valence terms are evaluated every 0.25 fs and all others every 2 fs, with hydrogens of 3 amu.
Without --gpu, the script runs a small box with short cutoffs and extrapolated dipoles (with the
long-range correction of the buffered 14-7) for a few ps, which shows whether a packed box becomes a
liquid of about the right density. It writes the density after each ps of compression, and the mean
over the last third.

Usage: python benchmarks/amoeba_liquids.py [--solvents acetonitrile] [--time 30] [--gpu]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from common import data_folder, mean_with_error, write_results

from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.legs import create_simulation
from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings
from nnpmm.freeenergy.polarizable.ladders import load_box
from nnpmm.sampling import compress_liquid
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.inputs import TinkerSystem, dissolve_tinker

#: SMILES, types of heavy atoms and of the hydrogens on each, g/ml at 25 C (CRC Handbook).
SOLVENTS = {
    "toluene": (
        *("Cc1ccccc1", (239, 241, 242, 243, 244, 243, 242)),
        *((240, 0, 245, 246, 247, 246, 245), 0.8623),
    ),
    "acetonitrile": ("CC#N", (212, 210, 211), (213, 0, 0), 0.7766),
    "dmso": ("CS(C)=O", (191, 189, 191, 190), (192, 0, 192, 0), 1.0955),
}
_PRODUCTION = {"padding": 1.4, "vdw_cutoff": 1.2, "polarization": "mutual"}
_SMALL = {"padding": 0.68, "vdw_cutoff": 0.75, "polarization": "extrapolated"}


def main() -> None:
    """Compress a box of each solvent, and print and write the densities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solvents", nargs="+", default=list(SOLVENTS), choices=SOLVENTS)
    parser.add_argument("--time", type=float, default=30.0, help="ps")
    parser.add_argument("--gpu", action="store_true", help="a larger box, mutual dipoles")
    options = parser.parse_args()
    found = {}
    for name in options.solvents:
        found[name] = _density(name, options.time, options.gpu)
        print(name, json.dumps(found[name]), flush=True)
        write_results("amoeba_liquids", found)


def write_molecule(folder: Path, name: str) -> Path:
    """Write Tinker coordinates of one solvent molecule; return the file."""
    smiles, heavy, hydrogens, _ = SOLVENTS[name]
    molecule = molecule_from_smiles(smiles, seed=1)
    lines = [f"{molecule.GetNumAtoms()} {name}"]
    for atom, place in zip(
        molecule.GetAtoms(), molecule.GetConformer().GetPositions(), strict=True
    ):
        neighbours = [other.GetIdx() for other in atom.GetNeighbors()]
        kind = heavy[atom.GetIdx()] if atom.GetAtomicNum() > 1 else hydrogens[neighbours[0]]
        position = " ".join(f"{value:.6f}" for value in place)
        bonded = " ".join(str(other + 1) for other in neighbours)
        lines.append(f"{atom.GetIdx() + 1} {atom.GetSymbol()} {position} {kind} {bonded}")
    path = folder / f"{name}.xyz"
    path.write_text("\n".join(lines) + "\n")
    return path


def _density(name: str, time: float, gpu: bool) -> dict:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        choice: dict[str, Any] = dict(_PRODUCTION if gpu else _SMALL)
        molecule = write_molecule(folder, name)
        padding = choice.pop("padding")
        system = TinkerSystem(
            type="tinker",
            xyz=molecule,
            parameters=(data_folder() / "deep-hp" / "amoeba09.prm",),
            **choice,
        )
        packed = dissolve_tinker(system, molecule, padding=padding, seed=1)
        (folder / "box.xyz").write_text(packed.text)
        settings = AmoebaSolvationSettings(
            system=system.model_copy(update={"xyz": folder / "box.xyz"}),
            solute=f"index 0 to {packed.n_solute - 1}",
            temperature=298.15,
            platform="CUDA" if gpu else "CPU",
            threads=1,
        )
        box = load_box(settings)
        count = box.topology.getNumAtoms() // packed.n_solute
        simulation = create_simulation(
            *(settings, box.system, box, 1), inner_timestep=settings.inner_timestep
        )

        def show(done: int, total: int) -> None:
            volume = simulation.context.getState().getPeriodicBoxVolume()
            print(f"{name}: {done} of {total} ps, {volume}", flush=True)

        try:
            series = compress_liquid(simulation, time=time, typical=packed.typical, report=show)
        except SimulationError as reason:
            return {"molecules": count, "error": str(reason)}
    densities = series.densities
    value, error = mean_with_error(densities[-max(3, len(densities) // 3) :])
    return {
        "molecules": count,
        **choice,
        "time_ps": time,
        "density_g_ml": value,
        "error_g_ml": error,
        "first_g_ml": float(densities[0]),
        "experiment_g_ml": SOLVENTS[name][3],
        "densities_g_ml": densities.tolist(),
    }


if __name__ == "__main__":
    main()
