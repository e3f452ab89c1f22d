"""MM systems from files of OpenMM's readers and ParmEd, and their regions alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import openmm.app as app
import parmed
import parmed.tools
import pytest
from conftest import shared_data
from force_fields import ForceFieldCase, charmm36_vacuum, dipeptide
from openmm import unit

from nnpmm.structures import molecule_from_smiles, to_openmm_topology

AMIDE = "CC(=O)N"
# C6 (kJ/mol nm^6) and C12 (kJ/mol nm^12) by element, and charges by element, for the GROMACS files.
_C6_C12 = {"C": (2.3e-3, 3.4e-6), "O": (2.3e-3, 1.5e-6), "N": (2.4e-3, 2.4e-6), "H": (8e-5, 1e-9)}
# Function type and parameters: harmonic and quartic; harmonic, cosine and Urey-Bradley; periodic,
# Ryckaert-Bellemans, harmonic improper and periodic improper.
_BONDS = ((1, 0.12, 3e5), (2, 0.12, 8e6))
_ANGLES = ((1, 112.0, 400.0), (2, 112.0, 500.0), (5, 112.0, 300.0, 0.2, 5000.0))
_TORSIONS = (
    (1, 180.0, 5.0, 2),
    (3, 1.0, 2.0, -1.0, 0.5, 0.1, 0.0),
    (2, 20.0, 60.0),
    (4, 180.0, 4.0, 2),
)


def gromacs(folder: Path) -> ForceFieldCase:
    """Geometric combination rule, quartic bonds, cosine and Urey-Bradley angles, both impropers."""
    topology, positions = to_openmm_topology(molecule_from_smiles(AMIDE, seed=2))
    both = _gromacs_system(folder / "two.top", topology, 2)
    alone = _gromacs_system(folder / "one.top", topology, 1)
    n = topology.getNumAtoms()
    all_positions = np.concatenate([positions, positions + np.array([0.1, 0.45, 0.3])])
    return ForceFieldCase(
        both.topology,
        both.createSystem(nonbondedMethod=app.NoCutoff),
        all_positions,
        None,
        np.arange(n),
        alone=alone.createSystem(nonbondedMethod=app.NoCutoff, removeCMMotion=False),
    )


def _gromacs_system(path: Path, topology, n_molecules):
    path.write_text(_gromacs_text(topology, n_molecules))
    return app.GromacsTopFile(str(path))


def _gromacs_text(topology, n_molecules):
    atoms = list(topology.atoms())
    neighbours = {a.index: [] for a in atoms}
    for a, b in topology.bonds():
        neighbours[a.index].append(b.index)
        neighbours[b.index].append(a.index)
    charges = [0.3 * ((-1) ** i) for i in range(len(atoms) - 1)]
    charges.append(-sum(charges))
    bonds = [(a.index + 1, b.index + 1) for a, b in topology.bonds()]
    angles = [
        (i + 1, j + 1, k + 1)
        for j, ends in neighbours.items()
        for i, k in itertools.combinations(ends, 2)
    ]
    torsions = [
        (i + 1, j + 1, k + 1, m + 1)
        for a, b in topology.bonds()
        for j, k in [(a.index, b.index)]
        for i in neighbours[j]
        for m in neighbours[k]
        if i != k and m != j
    ]
    terms = {
        "bonds": [(*b, *_BONDS[n % 2]) for n, b in enumerate(bonds)],
        "angles": [(*a, *_ANGLES[n % 3]) for n, a in enumerate(angles)],
        "dihedrals": [(*t, *_TORSIONS[n % 4]) for n, t in enumerate(torsions)],
        "pairs": [(t[0], t[3], 1, 1e-3, 1e-6) for t in torsions],
    }
    lines = ["[ defaults ]", "1 1 no 0.5 0.5", "[ atomtypes ]"]
    lines += [
        f"{symbol} {app.Element.getBySymbol(symbol).atomic_number} 1.0 0.0 A {c6} {c12}"
        for symbol, (c6, c12) in _C6_C12.items()
    ]
    lines += ["[ moleculetype ]", "MOL 3", "[ atoms ]"]
    lines += [
        f"{a.index + 1} {a.element.symbol} 1 MOL {a.element.symbol}{a.index} 1 "
        f"{charges[a.index]} {a.element.mass._value}"
        for a in atoms
    ]
    for section, rows in terms.items():
        lines += [f"[ {section} ]", *(" ".join(map(str, row)) for row in rows)]
    lines += ["[ system ]", "amides", "[ molecules ]", f"MOL {n_molecules}"]
    return "\n".join(lines) + "\n"


def charmm_psf(folder: Path) -> ForceFieldCase:
    """PSF and parameter files with Urey-Bradley, impropers, CMAP and an NBFIX pair."""
    one = _charmm_structure(1)
    systems = []
    for n in (1, 2):
        stem = folder / f"charmm{n}"
        structure = _charmm_structure(n)
        structure.save(f"{stem}.psf", overwrite=True)
        parameters = parmed.charmm.CharmmParameterSet.from_structure(structure)
        parameters.write(par=f"{stem}.prm", top=f"{stem}.rtf")
        psf = app.CharmmPsfFile(f"{stem}.psf")
        with Path(f"{stem}.prm").open("a") as file:
            file.write("\nNBFIX\nT1 T10 -0.3 3.0\n\nEND\n")
        read = app.CharmmParameterSet(f"{stem}.rtf", f"{stem}.prm")
        systems.append((psf.topology, psf.createSystem(read, nonbondedMethod=app.NoCutoff)))
    (_, alone), (topology, both) = systems
    n = len(one.atoms)
    positions = _two_dipeptides()
    return ForceFieldCase(topology, both, positions, None, np.arange(n), alone=alone)


def _two_dipeptides():
    positions = np.array(dipeptide().positions.value_in_unit(unit.nanometer))
    return np.concatenate([positions, positions + np.array([0.9, 0.3, 0.2])])


def _charmm_structure(n_copies):
    """The dipeptide of Amber14 with added CHARMM terms."""
    solute = dipeptide()
    force_field = app.ForceField("amber14-all.xml")
    system = force_field.createSystem(solute.topology, nonbondedMethod=app.NoCutoff)
    structure = parmed.openmm.load_topology(solute.topology, system, solute.positions)
    for index, atom in enumerate(structure.atoms):
        atom.type = f"T{index}"
        kind = parmed.AtomType(atom.type, index + 1, atom.mass, atom.atomic_number)
        kind.set_lj_params(atom.epsilon, atom.rmin, atom.epsilon / 2, atom.rmin)
        atom.atom_type = kind
    for torsion in [t for t in structure.dihedrals if t.improper]:
        structure.dihedrals.remove(torsion)
    for atom in structure.atoms:
        if len(atom.bond_partners) == 3:
            kind = parmed.ImproperType(10.0 + atom.idx, 0.0)
            structure.improper_types.append(kind)
            structure.impropers.append(parmed.Improper(atom, *atom.bond_partners, type=kind))
    for angle in structure.angles[::2]:
        kind = parmed.BondType(20.0 + angle.atom1.idx, 2.2)
        structure.urey_bradley_types.append(kind)
        structure.urey_bradleys.append(parmed.UreyBradley(angle.atom1, angle.atom3, kind))
    by_name = {(a.residue.name, a.name): a for a in structure.atoms}
    backbone = [("ACE", "C"), ("ALA", "N"), ("ALA", "CA"), ("ALA", "C"), ("NME", "N")]
    grid = 24
    surface = parmed.CmapType(grid, [float(np.sin(k) + k % 7) for k in range(grid * grid)])
    structure.cmap_types.append(surface)
    structure.cmaps.append(parmed.Cmap(*[by_name[key] for key in backbone], type=surface))
    for types in (structure.urey_bradley_types, structure.improper_types, structure.cmap_types):
        types.claim()
    return structure * n_copies if n_copies > 1 else structure


def amber_nbfix(folder: Path) -> ForceFieldCase:
    """An Amber topology with one Lennard-Jones pair that does not follow the combining rule."""
    return _amber(folder, c4=None)


def amber_12_6_4(folder: Path) -> ForceFieldCase:
    """The same with a C4 term on every pair."""
    return _amber(folder, c4=40.0)


def parmed_structure(folder: Path) -> ForceFieldCase:
    """The same guest and host as a ParmEd Structure, which makes the System."""
    structure = parmed.load_file(*map(str, _cb7_files()))
    alone = structure[":B2"]
    system = structure.createSystem(nonbondedMethod=app.NoCutoff)
    return _guest_case(structure.topology, system, structure.coordinates / 10, alone)


def _cb7_files():
    return shared_data("cb7-b2/complex-vacuum.prmtop"), shared_data("cb7-b2/complex-vacuum.inpcrd")


def _guest_case(topology, system, positions, alone):
    region = [a.index for a in topology.atoms() if a.residue.name == "B2"]
    alone_system = alone.createSystem(nonbondedMethod=app.NoCutoff, removeCMMotion=False)
    return ForceFieldCase(
        topology, system, np.array(positions), None, np.array(region), alone=alone_system
    )


def _amber(folder: Path, *, c4: float | None) -> ForceFieldCase:
    complex_ = parmed.load_file(*map(str, _cb7_files()))
    read = []
    for name, parm in (("guest", complex_[":B2"]), ("complex", complex_)):
        parmed.tools.changeLJPair(parm, "@%c3", "@%hc", 3.1, 0.05).execute()
        if c4 is not None:
            values = [c4] * len(parm.parm_data["LENNARD_JONES_ACOEF"])
            parm.add_flag("LENNARD_JONES_CCOEF", "5E16.8", data=values)
        path = folder / f"{name}.prmtop"
        parm.save(str(path), overwrite=True)
        read.append(app.AmberPrmtopFile(str(path)))
    guest, host_guest = read
    system = host_guest.createSystem(nonbondedMethod=app.NoCutoff)
    return _guest_case(host_guest.topology, system, complex_.coordinates / 10, guest)


def openmm_xml(folder: Path) -> ForceFieldCase:
    """CHARMM36 through OpenMM's XML and back."""
    case = charmm36_vacuum()
    text = openmm.XmlSerializer.serialize(case.system)
    return replace(case, system=openmm.XmlSerializer.deserialize(text))


READER_CASES = {
    "GROMACS": gromacs,
    "CHARMM psf": charmm_psf,
    "Amber NBFIX": amber_nbfix,
    "Amber 12-6-4": amber_12_6_4,
    "ParmEd Structure": parmed_structure,
    "OpenMM XML": openmm_xml,
}
_OF_TEST_DATA = ("Amber NBFIX", "Amber 12-6-4", "ParmEd Structure")
READER_PARAMETERS = [
    pytest.param(name, marks=pytest.mark.data if name in _OF_TEST_DATA else ())
    for name in READER_CASES
]
