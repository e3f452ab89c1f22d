"""A peptide with a ligand and some water, and trajectories of it with known answers."""

from __future__ import annotations

from pathlib import Path

import mdtraj
import numpy as np
from openmm import app
from rdkit import Chem
from rdkit.Chem import AllChem

from nnpmm.analysis.sources import Source
from nnpmm.structures import molecule_from_smiles

LIGAND = "CC(=O)Nc1ccc(O)cc1"
BOX = 6.0


def add_molecule(topology, chain, molecule, name=None):
    """Add an rdkit molecule, residue by residue if it has any."""
    residues, atoms = {}, []
    for atom in molecule.GetAtoms():
        info = atom.GetPDBResidueInfo()
        key = (
            (1, name) if info is None or name else (info.GetResidueNumber(), info.GetResidueName())
        )
        if key not in residues:
            residues[key] = topology.addResidue(key[1].strip(), chain, str(key[0]))
        label = (
            info.GetName().strip() if info and not name else f"{atom.GetSymbol()}{atom.GetIdx()}"
        )
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        atoms.append(topology.addAtom(label, element, residues[key]))
    for bond in molecule.GetBonds():
        topology.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    return 0.1 * molecule.GetConformer().GetPositions()


def peptide(sequence="AFDK"):
    """Return a peptide with hydrogens, the atoms of each residue together."""
    drawn = Chem.MolFromSequence(sequence)
    for atom in drawn.GetAtoms():
        if atom.GetPDBResidueInfo().GetName().strip() == "NZ":  # lysine is charged in water
            atom.SetFormalCharge(1)
    drawn.UpdatePropertyCache()
    plain = Chem.AddHs(drawn, addResidueInfo=True)
    order = sorted(
        range(plain.GetNumAtoms()),
        key=lambda i: plain.GetAtomWithIdx(i).GetPDBResidueInfo().GetResidueNumber(),
    )
    molecule = Chem.RenumberAtoms(plain, order)
    AllChem.EmbedMolecule(molecule, randomSeed=7)
    return molecule


def create_complex(sequence="AFDK", smiles=LIGAND, n_water=20):
    """Return topology and positions (n, 3) in nm, all in the middle of the box."""
    topology = app.Topology()
    parts = [add_molecule(topology, topology.addChain("A"), peptide(sequence))]
    ligand = molecule_from_smiles(smiles, seed=1)
    at = add_molecule(topology, topology.addChain("B"), ligand, "LIG")
    parts[0] -= parts[0].mean(axis=0)
    above = at - at.mean(axis=0) + [0.0, 0.0, np.ptp(parts[0][:, 2])]
    while np.linalg.norm(parts[0][:, None] - above, axis=-1).min() > 0.22:
        above[:, 2] -= 0.01  # down to the peptide
    parts.append(above)
    chain, generator = topology.addChain("W"), np.random.default_rng(3)
    for number in range(n_water):
        residue = topology.addResidue("HOH", chain, str(number + 1))
        oxygen, *hydrogens = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
        place = generator.normal(scale=0.7, size=3)
        parts.append(place + np.array([[0, 0, 0], [0.0957, 0, 0], [-0.024, 0.0927, 0]]))
    return topology, np.concatenate(parts) + BOX / 2


def rows_of(topology, residue=None, names=None):
    return np.array(
        [
            atom.index
            for atom in topology.atoms()
            if (residue is None or atom.residue.name == residue)
            and (names is None or atom.name in names)
        ]
    )


def save(path: Path, topology, positions, box=BOX, times=None) -> Path:
    """Write frames (f, n, 3) in nm with mdtraj; no box if it is None."""
    frames = np.asarray(positions, dtype=np.float32)
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology), time=times)
    if box is not None:
        trajectory.unitcell_vectors = np.repeat(np.eye(3)[None] * box, len(frames), axis=0)
    trajectory.save(str(path))
    return path


def source(path: Path, topology, **given) -> Source:
    return Source(path.stem, topology, path, **{"interval": 1.0, **given})


def tumbling(positions, n_frames, box=BOX, seed=5):
    """Return frames of a rigid system that rotates and drifts, each atom wrapped separately."""
    from scipy.spatial.transform import Rotation

    generator = np.random.default_rng(seed)
    turns = Rotation.random(n_frames, random_state=seed).as_matrix()
    centered = positions - positions.mean(axis=0)
    frames = centered @ turns.transpose(0, 2, 1) + generator.uniform(0, box, (n_frames, 1, 3))
    return frames % box
