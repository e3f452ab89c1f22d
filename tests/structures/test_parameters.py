from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import types

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import app
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError, OptionalDependencyError
from nnpmm.structures import (
    create_ligand_system,
    molecule_from_file,
    molecule_from_smiles,
    parameterize,
)
from nnpmm.structures.ligands.system_terms import terms_from_system

# Rings, linear atoms, charges, sulfonyl, halogens, and all kinds of out-of-plane centres.
VARIETY = (
    "CC(=O)Nc1ccc(O)cc1",
    "CC#CC(=O)[O-]",
    "C[NH3+]",
    "CS(=O)(=O)Nc1ncccc1",
    "C[N+](=O)[O-]",
    "Fc1ccc(Br)cc1I",
    "CP(=O)(OC)O",
    "C1CC1C=O",
)


def _fallback(molecule):
    return parameterize(molecule, provider="fallback")


def _skeleton(elements, bonds):
    molecule = Chem.RWMol()
    for atomic_number in elements:
        atom = Chem.Atom(atomic_number)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for i, j in bonds:
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    return molecule.GetMol()


def _in_order_of(molecule, prmtop):
    """For each atom of the molecule its index in the prmtop, by the graph without bond orders."""
    match = _skeleton(
        [atom.element.atomic_number for atom in prmtop.topology.atoms()],
        [(a.index, b.index) for a, b in prmtop.topology.bonds()],
    ).GetSubstructMatch(
        _skeleton(
            [atom.GetAtomicNum() for atom in molecule.GetAtoms()],
            [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()],
        )
    )
    assert len(match) == molecule.GetNumAtoms() == prmtop.topology.getNumAtoms()
    return list(match)


@pytest.fixture(scope="module")
def freesolv():
    """(name, parameters, reference rows of charge/sigma/epsilon, GAFF types) per molecule."""
    folder = shared_data("freesolv")
    database = json.loads((folder / "database-subset.json").read_text())
    found = []
    for name, entry in sorted(database.items()):
        prmtop = app.AmberPrmtopFile(str(folder / "amber" / f"{name}.prmtop"))
        molecule = molecule_from_smiles(entry["smiles"])
        order = _in_order_of(molecule, prmtop)
        system = prmtop.createSystem()
        force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        rows = [[x._value for x in force.getParticleParameters(i)] for i in order]
        gaff = prmtop._prmtop.getAtomTypes()
        found.append((name, _fallback(molecule), np.array(rows), [gaff[i] for i in order]))
    return found


@pytest.mark.data
def test_lennard_jones_equals_gaff_in_freesolv(freesolv):
    mismatches, n_atoms = [], 0
    for name, parameters, reference, gaff in freesolv:
        for i, (_, sigma, epsilon) in enumerate(reference):
            n_atoms += 1
            same = abs(parameters.epsilon[i] - epsilon) < 1e-5 and (
                epsilon == 0 or abs(parameters.sigma[i] - sigma) < 1e-6
            )
            if not same:
                mismatches.append((name, i, gaff[i], parameters.lj_types[i]))
    assert n_atoms == 879
    assert mismatches == []


@pytest.mark.data
def test_charges_stay_near_am1_bcc_in_freesolv(freesolv):
    """The charge model differs from AM1-BCC but explains most of its variance.

    Charges of zero leave all of it, those of other atoms twice as much.
    """
    difference = np.concatenate([p.charges - rows[:, 0] for _, p, rows, _ in freesolv])
    expected = np.concatenate([rows[:, 0] for _, _, rows, _ in freesolv])
    assert (difference**2).mean() < 0.5 * (expected**2).mean()


@pytest.mark.data
@pytest.mark.parametrize(
    "file",
    [
        "cb7-b2/b2_am1-bcc.mol2",
        "cb7-b2/cb7_am1-bcc.mol2",
        "nnpops-ligands/1hvj_ligand.mol2",
        "nnpops-ligands/3o99_ligand.mol2",
    ],
)
def test_hydrogen_types_equal_gaff_in_mol2_files(file):
    path = shared_data(file)
    section = path.read_text().split("@<TRIPOS>ATOM")[1].split("@<TRIPOS>")[0]
    gaff = [line.split()[5] for line in section.splitlines() if line.strip()]
    known = {"h1", "h2", "h3", "h4", "h5", "ha", "hc", "hn", "ho", "hp", "hs", "hx"}
    found = _fallback(molecule_from_file(path)).lj_types
    pairs = [(a, b) for a, b in zip(found, gaff, strict=True) if b in known]
    assert len(pairs) >= 18
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("smiles", "atom", "name"),
    [
        ("C[NH3+]", -4, "hx"),
        ("FC(F)F", -1, "h3"),
        ("CS", -1, "hs"),
        ("CP", -1, "hp"),
        ("NC=O", -1, "h5"),
        ("C1CC1", 0, "cx"),
        ("C1CCC1", 0, "cx"),
        ("C1CCCC1", 0, "c3"),
        ("C[N+]#[C-]", 2, "c1"),
        ("O", 0, "ow"),
        ("CBr", 1, "br"),
        ("CI", 1, "i"),
        ("CF", 1, "f"),
    ],
)
def test_types_that_are_not_in_freesolv(smiles, atom, name):
    molecule = molecule_from_smiles(smiles)
    index = atom % molecule.GetNumAtoms()
    if smiles == "C[NH3+]":
        index = next(
            a.GetIdx() for a in molecule.GetAtomWithIdx(0).GetNeighbors() if a.GetAtomicNum() == 1
        )
    assert _fallback(molecule).lj_types[index] == name


@pytest.mark.parametrize("smiles", [*VARIETY, "C[N+](C)(C)CC(=O)[O-]", "[O-]C(=O)CC(=O)[O-]"])
def test_charges_add_up_to_the_formal_charge(smiles):
    molecule = molecule_from_smiles(smiles)
    assert _fallback(molecule).charges.sum() == pytest.approx(
        Chem.GetFormalCharge(molecule), abs=1e-9
    )


def _rdkit_energy(molecule, positions, term):
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)
    for name in ("Bond", "Angle", "StretchBend", "Oop", "Torsion", "VdW", "Ele"):
        getattr(properties, f"SetMMFF{name}Term")(name == term)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties)
    return field.CalcEnergy(list(positions.ravel())) * 4.184


def _openmm_energies(system, positions):
    """Energy of every force by class name, kJ/mol; positions in angstrom."""
    for number, force in enumerate(system.getForces()):
        force.setForceGroup(number)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(positions * 0.1)
    return {
        type(force).__name__: context.getState(getEnergy=True, groups={number})
        .getPotentialEnergy()
        ._value
        for number, force in enumerate(system.getForces())
    }


@pytest.mark.parametrize("smiles", VARIETY)
def test_torsions_equal_mmff94_exactly(smiles):
    molecule = molecule_from_smiles(smiles)
    parameters = dataclasses.replace(_fallback(molecule), impropers=())
    system = create_ligand_system(molecule, parameters)
    relaxed = molecule.GetConformer().GetPositions()
    generator = np.random.default_rng(7)
    for _ in range(3):
        positions = relaxed + generator.normal(scale=0.1, size=relaxed.shape)
        found = _openmm_energies(system, positions)["PeriodicTorsionForce"]
        assert found == pytest.approx(_rdkit_energy(molecule, positions, "Torsion"), abs=1e-4)


def _length(x, i, j):
    return np.linalg.norm(x[i] - x[j])


def _angle(x, i, j, k):
    a, b = x[i] - x[j], x[k] - x[j]
    return np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("smiles", [*VARIETY, "C1=CC1", "C1CCC1"])
def test_bond_and_angle_parameters_are_those_of_mmff94(smiles):
    """With Halgren's anharmonic factors, the parameters give rdkit's energies exactly."""
    molecule = molecule_from_smiles(smiles)
    parameters = _fallback(molecule)
    relaxed = molecule.GetConformer().GetPositions()
    x = relaxed + np.random.default_rng(5).normal(scale=0.05, size=relaxed.shape)
    stretch = bend = 0.0
    for i, j, length, k in parameters.bonds:
        delta = _length(x, i, j) - 10 * length
        cubic = -2.0
        anharmonic = 1 + cubic * delta + 7 / 12 * cubic**2 * delta**2
        stretch += k / 100 / 2 * delta**2 * anharmonic
    for i, j, m, reference, k in parameters.angles:
        theta = _angle(x, i, j, m)
        if reference == pytest.approx(np.pi):
            bend += k * (1 + np.cos(theta))
        else:
            bend += k / 2 * (theta - reference) ** 2 * (1 - 0.4 * (theta - reference))
    assert stretch == pytest.approx(_rdkit_energy(molecule, x, "Bond"), rel=1e-6)
    assert bend == pytest.approx(_rdkit_energy(molecule, x, "Angle"), rel=1e-6)


@pytest.mark.parametrize("smiles", [*VARIETY, "C1=CC1"])
def test_bonds_and_angles_of_the_openmm_system_are_unchanged(smiles):
    molecule = molecule_from_smiles(smiles)
    parameters = _fallback(molecule)
    x = molecule.GetConformer().GetPositions()
    found = _openmm_energies(create_ligand_system(molecule, parameters), x)
    stretch = sum(k / 2 * (_length(x, i, j) / 10 - r0) ** 2 for i, j, r0, k in parameters.bonds)
    bend = sum(k / 2 * (_angle(x, i, j, m) - t0) ** 2 for i, j, m, t0, k in parameters.angles)
    assert found["HarmonicBondForce"] == pytest.approx(stretch, rel=1e-6)
    assert found["HarmonicAngleForce"] == pytest.approx(bend, rel=1e-6)


def _error_of_squared_sines(parameters, x):
    """Return the largest relative difference to the reference angles, at the impropers' centres."""
    centres = {centre for _, _, centre, *_ in parameters.impropers}
    sines = np.array(
        [
            (np.sin(_angle(x, i, j, m)), np.sin(reference))
            for i, j, m, reference, _ in parameters.angles
            if j in centres
        ]
    )
    return np.abs(sines[:, 0] ** 2 / sines[:, 1] ** 2 - 1).max()


@pytest.mark.parametrize(
    "smiles",
    ["c1ccccc1", "C=C", "NC=O", "CC(=O)Nc1ccc(O)cc1", "CC#CC(=O)[O-]", "C[N+](=O)[O-]"],
)
def test_impropers_equal_mmff94_out_of_plane_to_second_order(smiles):
    """They agree at the reference angles; elsewhere the products of squared sines differ."""
    molecule = molecule_from_smiles(smiles)
    parameters = dataclasses.replace(_fallback(molecule), torsions=())
    system = create_ligand_system(molecule, parameters)
    relaxed = molecule.GetConformer().GetPositions()
    expected, found = [], []
    for seed in range(4):
        step = 0.01 * np.random.default_rng(seed).normal(size=relaxed.shape)
        positions = (relaxed + step, relaxed - step, relaxed)
        reference = [_rdkit_energy(molecule, x, "Oop") for x in positions]
        ours = [_openmm_energies(system, x)["PeriodicTorsionForce"] for x in positions]
        expected.append(reference[0] + reference[1] - 2 * reference[2])
        found.append(ours[0] + ours[1] - 2 * ours[2])
    # Amide nitrogen has a negative force constant, so single sums may nearly cancel.
    largest = np.abs(expected).max()
    assert largest > 1e-3
    tolerance = 2 * _error_of_squared_sines(parameters, relaxed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "CS(=O)(=O)Nc1ncccc1"])
def test_atom_order_does_not_matter(smiles):
    molecule = molecule_from_smiles(smiles)
    order = np.random.default_rng(11).permutation(molecule.GetNumAtoms())
    shuffled = Chem.RenumberAtoms(molecule, [int(i) for i in order])
    first, second = _fallback(molecule), _fallback(shuffled)
    np.testing.assert_allclose(second.charges, first.charges[order], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(second.sigma, first.sigma[order])
    assert second.lj_types == tuple(first.lj_types[i] for i in order)
    positions = molecule.GetConformer().GetPositions()
    found = [
        _openmm_energies(create_ligand_system(molecule, first), positions),
        _openmm_energies(create_ligand_system(shuffled, second), positions[order]),
    ]
    for name, energy in found[0].items():
        # Symmetric neighbours may swap places in an improper, which only its fourth order notices.
        tolerance = 1e-3 if name == "PeriodicTorsionForce" else 1e-7
        assert found[1][name] == pytest.approx(energy, rel=0, abs=tolerance), name


def test_the_fallback_is_named_in_the_log_and_the_provider(caplog):
    parameters = _fallback(molecule_from_smiles("CCO"))
    assert parameters.provider.startswith("fallback: MMFF94 bond-charge-increment charges")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "meant for a region that a neural network potential describes" in caplog.text


def test_bad_input_is_named():
    ethanol = molecule_from_smiles("CCO")
    with pytest.raises(ConfigError, match="found the provider 'gaff', allowed:"):
        parameterize(ethanol, provider="gaff")
    with pytest.raises(InputFileError, match="6 hydrogens missing in the molecule"):
        parameterize(Chem.RemoveHs(ethanol), provider="fallback")
    with pytest.raises(ForceFieldError, match="atom 1, element Si with 4 bonds"):
        parameterize(molecule_from_smiles("C[Si](C)(C)C"), provider="fallback")
    with pytest.raises(ForceFieldError, match=r"MMFF94 cannot type, look at atoms 1 \(P"):
        parameterize(molecule_from_smiles("CP(C)(C)(C)C"), provider="fallback")
    with pytest.raises(ForceFieldError, match=r"add up to 0\.000 for a molecule of charge 1"):
        parameterize(molecule_from_smiles("C[S+](C)C"), provider="fallback")
    other = _fallback(molecule_from_smiles("CO"))
    with pytest.raises(ForceFieldError, match="found 9 atoms and parameters of 6"):
        create_ligand_system(ethanol, other)


@pytest.mark.skipif(importlib.util.find_spec("openff") is not None, reason="OpenFF is installed")
def test_openff_absent_gives_the_install_line():
    with pytest.raises(
        OptionalDependencyError, match="conda install -c conda-forge openff-toolkit"
    ):
        parameterize(molecule_from_smiles("CCO"), provider="openff")


def test_terms_from_a_system_equal_the_parameters():
    molecule = molecule_from_smiles("CC(=O)Nc1ccc(O)cc1")
    parameters = _fallback(molecule)
    terms = terms_from_system(create_ligand_system(molecule, parameters), molecule)
    np.testing.assert_allclose(terms["charges"], parameters.charges, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(terms["sigma"], parameters.sigma)
    for name in ("bonds", "angles", "torsions", "impropers"):
        assert terms[name] == getattr(parameters, name)
        assert len(terms[name]) > 0


class _FakeToolkit:
    """The part of the toolkit that nnpmm calls; it returns the fallback's System."""

    def __init__(self, file):
        self.file = file

    @classmethod
    def from_rdkit(cls, molecule, *, allow_undefined_stereo, hydrogens_are_explicit):
        assert allow_undefined_stereo and hydrogens_are_explicit
        cls.molecule = molecule
        return cls(None)

    def to_topology(self):
        return self

    def create_openmm_system(self, topology):
        return create_ligand_system(topology.molecule, _fallback(topology.molecule))

    def label_molecules(self, topology):
        count = topology.molecule.GetNumAtoms()
        return [{"vdW": {(i,): types.SimpleNamespace(id=f"n{i}") for i in range(count)}}]


def test_reversed_impropers_get_their_centre_third():
    molecule = molecule_from_smiles("CC(=O)NC", seed=1)
    parameters = parameterize(molecule, provider="fallback")
    backwards = tuple((*term[3::-1], *term[4:]) for term in parameters.impropers)
    assert backwards and all(
        molecule.GetBondBetweenAtoms(b, other) is not None
        for a, b, c, d, *_ in backwards
        for other in (a, c, d)
    )
    system = create_ligand_system(molecule, dataclasses.replace(parameters, impropers=backwards))
    found = terms_from_system(system, molecule)["impropers"]
    assert found == parameters.impropers


def test_openff_provider_with_a_fake_toolkit(monkeypatch):
    toolkit = types.ModuleType("openff.toolkit")
    toolkit.ForceField = toolkit.Molecule = _FakeToolkit
    monkeypatch.setitem(sys.modules, "openff", types.ModuleType("openff"))
    monkeypatch.setitem(sys.modules, "openff.toolkit", toolkit)
    molecule = molecule_from_smiles("CCO")
    parameters = parameterize(molecule, provider="openff")
    assert parameters.provider.startswith("openff-toolkit: openff_unconstrained-2.2.0.offxml")
    assert parameters.lj_types[:2] == ("n0", "n1")
    assert parameters.torsions == _fallback(molecule).torsions

    def fails(self, topology):
        raise RuntimeError("no toolkit\ncan assign charges")

    monkeypatch.setattr(_FakeToolkit, "create_openmm_system", fails)
    with pytest.raises(ForceFieldError, match="no toolkit can assign charges; AM1-BCC"):
        parameterize(molecule, provider="openff")
