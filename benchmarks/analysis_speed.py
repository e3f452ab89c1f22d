"""Compare the speed of nnpmm.analysis with that of a plain mdtraj script, in frames per second.

The frames are the starting structure of the HSP90 complex of the tests (47,037 atoms) with added
noise, written as DCD. Both programs read the file and compute the RMSD of receptor and ligand, the
internal RMSD of the ligand, RMSF, radius of gyration, torsions, hydrogen bonds and heavy-atom
contacts of the ligand by residue, and the water in its first shell. The mdtraj script is the usual
one: image_molecules, superpose, rmsd, rmsf, compute_rg, compute_dihedrals, baker_hubbard of each
frame, compute_neighbors. The time to read the topology is not counted.

python benchmarks/analysis_speed.py [--frames 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
from common import data_folder, write_results
from openmm import app, unit

from nnpmm.analysis import Source, observe


def complex_source(folder: Path, n_frames: int) -> Source:
    """Write a trajectory of the complex and return its source."""
    base = data_folder()
    gro = app.GromacsGroFile(str(base / "hsp90/ligand-3/complex/complex.gro"))
    top = app.GromacsTopFile(
        str(base / "hsp90/ligand-3/complex/complex.top"),
        includeDir=str(base / "amber99sb-ildn"),
        defines={"HEAVY_H": ""},
        periodicBoxVectors=gro.getPeriodicBoxVectors(),
    )
    positions = gro.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    box = np.array(gro.getPeriodicBoxVectors().value_in_unit(unit.nanometer))
    path = folder / "complex.dcd"
    generator = np.random.default_rng(1)
    with mdtraj.formats.DCDTrajectoryFile(str(path), "w") as handle:
        for _ in range(n_frames):
            noise = generator.normal(scale=0.01, size=positions.shape)
            frame = mdtraj.Trajectory((positions + noise)[None], None)
            frame.unitcell_vectors = box[None]
            handle.write(10 * frame.xyz, 10 * frame.unitcell_lengths, frame.unitcell_angles)
    return Source("hsp90", top.topology, path, 1.0, reference=positions, box=box)


def plain(path: Path, topology: mdtraj.Topology, torsions: np.ndarray) -> dict[str, Any]:
    """Compute the observables with mdtraj, chunk by chunk."""
    protein, ligand = topology.select("protein"), topology.select("resname LIG")
    backbone = topology.select("protein and backbone")
    heavy = topology.select("resname LIG and not element H")
    carbons = topology.select("protein and name CA")
    others = topology.select("protein and not element H")
    oxygens = topology.select("water and element O")
    solute = topology.select("protein or resname LIG")
    molecules = topology.find_molecules()
    anchors = [m for m in molecules if len(m) > 100]
    rest = [m for m in molecules if len(m) <= 100]
    reference, parts = None, []
    for chunk in mdtraj.iterload(str(path), top=topology, chunk=100):
        chunk.image_molecules(inplace=True, anchor_molecules=anchors, other_molecules=rest)
        water = [len(n) for n in mdtraj.compute_neighbors(chunk, 0.35, heavy, oxygens)]
        reference = chunk[0] if reference is None else reference
        chunk.superpose(reference, atom_indices=backbone)
        whole = chunk.atom_slice(solute)
        inside = {int(a) for a in np.searchsorted(solute, ligand)}
        bonds = []
        for frame in range(len(whole)):
            found = mdtraj.baker_hubbard(whole[frame], freq=0.0, periodic=False)
            bonds.append([b for b in found if (b[0] in inside) != (b[2] in inside)])
        touching = mdtraj.compute_neighbors(chunk, 0.4, heavy, others, periodic=False)
        contacts = [{topology.atom(int(a)).residue.index for a in atoms} for atoms in touching]
        difference = chunk.xyz[:, heavy] - reference.xyz[0, heavy]
        parts.append(
            (
                mdtraj.rmsd(chunk, reference, atom_indices=backbone),
                np.sqrt((difference**2).sum(axis=-1).mean(axis=-1)),
                mdtraj.rmsd(chunk, reference, atom_indices=heavy),
                mdtraj.compute_rg(chunk.atom_slice(protein)),
                mdtraj.compute_dihedrals(chunk, torsions, periodic=False),
                mdtraj.rmsf(chunk, reference, atom_indices=carbons),
                *(water, bonds, contacts),
            )
        )
    return {"water": np.concatenate([part[6] for part in parts])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = complex_source(Path(name), arguments.frames)
        topology = mdtraj.Topology.from_openmm(source.topology)
        first = observe(source)
        names = {a.name: a.index for a in topology.atoms if a.residue.name == "LIG"}
        torsions = np.array(
            [[names[n] for n in label.split("-")] for label in first.torsion_labels]
        )
        times: dict[str, list[float]] = {"nnpmm": [], "mdtraj": []}
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            own = observe(source)
            times["nnpmm"].append(time.perf_counter() - start)
            start = time.perf_counter()
            other = plain(source.trajectory, topology, torsions)
            times["mdtraj"].append(time.perf_counter() - start)
            # The times compare only if both programs give the same answer.
            np.testing.assert_array_equal(own.series["water"], other["water"])
    speed = {name: arguments.frames / statistics.median(t) for name, t in times.items()}
    print(f"{arguments.frames} frames of {source.topology.getNumAtoms()} atoms")
    for name, value in speed.items():
        print(f"{name:8} {value:6.1f} frames per second")
    write_results(
        "analysis_speed",
        {
            "atoms": source.topology.getNumAtoms(),
            "frames": arguments.frames,
            "frames_per_second": speed,
            "seconds": times,
        },
    )


if __name__ == "__main__":
    main()
