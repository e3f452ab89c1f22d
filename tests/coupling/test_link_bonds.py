"""Link atoms at all kinds of bonds: energy, forces, charge of the region."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import openmm
import pytest
from cases import Case, compute_in
from conftest import model_directory
from contracts import (
    assert_conserves_energy,
    assert_forces_match_energy,
    assert_invariant,
    assert_no_net_force_or_torque,
)
from force_fields import amber14
from mm_reference import internal_energy
from openmm import unit
from toy import TOY

from nnpmm import load_model
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.core.units import in_md_units
from nnpmm.coupling import Interpolated, LinkAtoms, Mechanical, Role, couple
from nnpmm.models import FunctionModel
from nnpmm.structures import (
    create_ligand_system,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)

# Lengths of bonds to hydrogen, nm: CT-HC, N-H, OH-HO and SH-HS of Amber, P-H of phosphine.
TO_HYDROGEN = {"C": 0.109, "N": 0.101, "O": 0.096, "S": 0.1336, "P": 0.142}


@dataclass(frozen=True)
class Cut(Case):
    """A molecule with a region, its cut bonds as (inside, outside), and their link atoms."""

    bonds: tuple[tuple[int, int], ...] = ()
    boundary: LinkAtoms | None = None

    def hybrid(self, model=TOY, **choices):
        coupling = Mechanical(boundary=self.boundary, **choices)
        return couple(self.system, self.topology, self.region, model, coupling=coupling)

    def capped(self):
        """The network's molecule: atomic numbers and positions with hydrogens on the cut bonds."""
        atoms = list(self.topology.atoms())
        links = []
        for i, j in self.bonds:
            bond = self.positions[j] - self.positions[i]
            d = TO_HYDROGEN[atoms[i].element.symbol]
            links.append(self.positions[i] + d * bond / np.linalg.norm(bond))
        numbers = np.array([*self.numbers, *(1 for _ in links)])
        return numbers, np.concatenate([self.positions[self.region], links])


def molecule(smiles, heavy, kinds, charges="shift"):
    """A molecule in vacuum, its region some heavy atoms with their hydrogens."""
    rdkit_molecule = molecule_from_smiles(smiles, seed=1)
    system = create_ligand_system(rdkit_molecule, parameterize(rdkit_molecule))
    topology, positions = to_openmm_topology(rdkit_molecule)
    positions = np.array(in_md_units(positions, unit.nanometer))
    return made(topology, system, positions, heavy, kinds, charges)


def made(topology, system, positions, heavy, kinds, charges="keep", box=None):
    neighbours = {}
    for a, b in topology.bonds():
        neighbours.setdefault(a.index, set()).add(b.index)
        neighbours.setdefault(b.index, set()).add(a.index)
    atoms = list(topology.atoms())
    region = set(heavy)
    region |= {h for k in heavy for h in neighbours[k] if atoms[h].element.symbol == "H"}
    bonds = sorted((i, j) for i in region for j in neighbours[i] - region)
    boundary = LinkAtoms(bonds=kinds, charges=charges)
    shaken = positions + np.random.default_rng(5).normal(0, 0.004, positions.shape)
    return Cut(topology, system, shaken, box, np.array(sorted(region)), tuple(bonds), boundary)


def dipeptide(names, kinds, charges="keep"):
    """Alanine dipeptide with Amber's charges, next to some water."""
    case = amber14()
    index = {(a.residue.name, a.name): a.index for a in case.topology.atoms()}
    heavy = [index[key, name] for key, text in names.items() for name in text.split()]
    system = copy.deepcopy(case.system)
    return made(case.topology, system, case.positions, heavy, kinds, charges, case.box)


CUTS = {
    "side chain, CA-CB": lambda: dipeptide({"ALA": "CB"}, "C-C"),
    "residue, N-CA and CA-C": lambda: dipeptide({"ALA": "CA CB"}, ("C-C", "C-N")),
    "peptide group, CH3-C and N-CA": lambda: dipeptide({"ACE": "C O", "ALA": "N"}, ("C-C", "C-N")),
    "residue, two amides": lambda: dipeptide({"ALA": "N CA CB C O"}, "amide"),
    "inhibitor at cysteine, C-S": lambda: molecule("CCSCC(=O)N", (3, 4, 5, 6), "C-S"),
    "cysteine at inhibitor, S-C": lambda: molecule("CCSCC(=O)N", (0, 1, 2), "C-S"),
    "disulfide, S-S": lambda: molecule("CCSSCC", (0, 1, 2), "S-S"),
    "phosphate ester, O-P": lambda: molecule("CCOP(=O)(OC)OC", (0, 1, 2), "O-P"),
    "phosphate group, O-C and P-O": lambda: molecule(
        "CCOP(=O)(OC)OC", (2, 3, 4, 5, 6), ("C-O", "P-O")
    ),
    "ether, C-O": lambda: molecule("CCOCC", (0, 1), "any single"),
    "amine, two cuts at one N": lambda: molecule("CCN(C)CC", (2, 3), "any single"),
}


@pytest.fixture(scope="module", params=CUTS)
def cut(request):
    return CUTS[request.param]()


def shifted(cut, excess):
    """The MM system with charges shifted across the cut bonds, and the resulting 1-4 pairs."""
    system = copy.deepcopy(cut.system)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    charges = [force.getParticleParameters(k)[0]._value for k in range(system.getNumParticles())]
    new = np.array(charges)
    for (i, j), charge in zip(cut.bonds, excess, strict=True):
        new[i] -= charge
        new[j] += charge
    for k, charge in enumerate(new):
        force.setParticleParameters(k, charge, *force.getParticleParameters(k)[1:])
    scales = set()
    for k in range(force.getNumExceptions()):
        i, j, product, sigma, epsilon = force.getExceptionParameters(k)
        if product._value:
            scales.add(round(product._value / charges[i] / charges[j], 3))
        if epsilon._value:
            force.setExceptionParameters(k, i, j, new[i] * new[j] / 1.2, sigma, epsilon)
    assert scales <= {0.833}
    return system


def region_excess(cut):
    """The sum of the region's charges, e."""
    (force,) = [f for f in cut.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    return sum(force.getParticleParameters(int(k))[0]._value for k in cut.region)


def test_energy_is_mm_minus_internal_plus_capped_network(cut):
    """With shifted charges, the reference is a force field with these charges."""
    hybrid = cut.hybrid()
    reference = cut.system
    if cut.boundary.charges == "shift":  # all of these regions are neutral
        reference = shifted(cut, [region_excess(cut) / len(cut.bonds)] * len(cut.bonds))
    numbers, positions = cut.capped()
    expected = cut.state(reference)[0] + TOY.bind(numbers)(positions)[0]
    expected -= internal_energy(reference, cut.region, cut.positions, [j for _, j in cut.bonds])
    np.testing.assert_allclose(cut.state(hybrid.system)[0], expected, rtol=0, atol=0.01)


def test_forces_are_the_gradient(cut):
    context = cut.context(cut.hybrid().system)
    compute = compute_in(context)
    atoms = np.array([*(i for i, _ in cut.bonds), *(j for _, j in cut.bonds)])
    assert_forces_match_energy(compute, cut.positions, atoms=atoms, step=2e-5, atol=0.5)


def test_network_is_invariant_without_net_force_or_torque(cut):
    system = cut.hybrid().system
    groups = cut.hybrid().groups[Role.NETWORK]
    context = cut.context(system)
    compute = compute_in(context, groups)
    assert_invariant(compute, cut.positions, atol=1e-6)
    forces = compute(cut.positions)[1]
    assert_no_net_force_or_torque(forces, cut.positions, atol=1e-6)
    for i, j in cut.bonds:
        bond = cut.positions[j] - cut.positions[i]
        assert abs(forces[j] @ bond) < 1e-9 < np.linalg.norm(forces[j])


def test_dynamics_conserve_energy(cut):
    """Only the region and the neighbours move, so that constraints do not matter."""
    hybrid = cut.hybrid()
    context = cut.context(hybrid.system)
    compute = compute_in(context)
    masses = np.zeros(len(cut.positions))
    moving = [k for k in (*cut.region.tolist(), *(j for _, j in cut.bonds))]
    masses[moving] = [hybrid.system.getParticleMass(k)._value for k in moving]
    assert_conserves_energy(compute, cut.positions, masses, precision=1e-3)


def test_region_charge_and_shifted_charges(cut):
    """All regions are neutral, and shifting charges does not change the total charge."""
    hybrid = cut.hybrid()
    assert hybrid.region.charge == 0
    assert hybrid.region.cut_bonds == cut.bonds
    after, before = (
        np.array([f.getParticleParameters(k)[0]._value for k in range(f.getNumParticles())])
        for s in (hybrid.system, cut.system)
        for f in s.getForces()
        if isinstance(f, openmm.NonbondedForce)
    )
    assert after.sum() == pytest.approx(before.sum(), abs=1e-9)
    if cut.boundary.charges == "shift":
        assert after[cut.region].sum() == pytest.approx(0, abs=1e-9)
        ends = {k for pair in cut.bonds for k in pair}
        assert set(np.flatnonzero(np.abs(after - before) > 1e-9).tolist()) <= ends
    else:
        np.testing.assert_array_equal(after, before)


@pytest.mark.data
def test_network_evaluates_the_capped_thiol_and_acetamide():
    """Both sides of a cut C-S bond, with the bond lengths of a thiol and a methyl group."""
    weights = model_directory()
    model = load_model("ANI-2x", 0, weights=weights, backend="reference", precision="double")
    formulas = {
        "cysteine at inhibitor, S-C": "CCHHHHHHS",  # ethanethiol
        "inhibitor at cysteine, C-S": "CCHHHHHNO",
    }
    for name, formula in formulas.items():
        cut = CUTS[name]()
        hybrid = cut.hybrid(model)
        numbers, positions = cut.capped()
        symbols = [{1: "H", 6: "C", 7: "N", 8: "O", 16: "S"}[n] for n in numbers.tolist()]
        assert sorted(symbols) == sorted(formula)
        found = cut.state(hybrid.system, groups=hybrid.groups[Role.NETWORK])[0]
        assert found == pytest.approx(model.bind(numbers)(positions)[0], abs=1e-3)


def test_link_atom_distances_can_be_set():
    cut = dipeptide({"ALA": "CA CB"}, ("C-C", "C-N"))
    boundary = LinkAtoms(("C-C", "C-N"), {"C-N": 0.105 * unit.nanometer, "N-C": 0.2})
    hybrid = couple(
        *(cut.system, cut.topology, cut.region, TOY), coupling=Mechanical(boundary=boundary)
    )
    atoms = list(cut.topology.atoms())
    links = hybrid.evaluator.capped(cut.positions[hybrid.region.network_atoms])[len(cut.region) :]
    for (i, j), link in zip(hybrid.region.cut_bonds, links, strict=True):
        expected = {"N": 0.105, "C": 0.109}[atoms[j].element.symbol]
        assert np.linalg.norm(link - cut.positions[i]) == pytest.approx(expected, abs=1e-9)


def charged(charge_of):
    """A model that accepts charges and records that of the region."""

    def compute(positions, numbers, charge):
        charge_of.append(charge)
        return 0.0, np.zeros_like(positions)

    return FunctionModel(compute, "charged")


def with_charge(cut, atom, change):
    system = copy.deepcopy(cut.system)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    charge, sigma, epsilon = force.getParticleParameters(int(atom))
    force.setParticleParameters(int(atom), charge._value + change, sigma, epsilon)
    return system


def test_fractional_region_charge_is_resolved_by_the_bonds():
    """The phosphate of diethyl phosphate has a charge of -1, whatever the sum of its charges is."""
    cut = molecule("CCOP(=O)([O-])OCC", (2, 3, 4, 5, 6), "C-O")
    total = region_excess(cut)
    assert abs(total + 1) > 0.2  # MMFF94
    seen = []
    hybrid = cut.hybrid(charged(seen))
    cut.state(hybrid.system)
    assert (hybrid.region.charge, set(seen)) == (-1, {-1})
    assert sum(hybrid.region.excess) == pytest.approx(total + 1)
    keep = Mechanical(boundary=LinkAtoms("C-O"))
    with pytest.raises(RegionError, match=r"not to an integer within 0\.2 e; .*charges='shift'"):
        couple(cut.system, cut.topology, cut.region, TOY, coupling=keep)


def test_charge_incompatible_with_the_bonds_is_refused():
    """Methane cannot have a charge of +1."""
    cut = dipeptide({"ALA": "CB"}, "C-C")
    system = with_charge(cut, cut.region[0], 1.0)
    message = r"add up to \+0\.99\d e, which is \+1 as an integer, but its capped bonds allow 0:"
    with pytest.raises(RegionError, match=message):
        couple(*(system, cut.topology, cut.region, TOY), coupling=Mechanical(boundary=cut.boundary))


def test_charge_shift_is_refused_where_it_is_ambiguous():
    cut = dipeptide({"ALA": "CB"}, "C-C", "shift")
    born = openmm.GBSAOBCForce()
    for _ in range(cut.system.getNumParticles()):
        born.addParticle(0.0, 0.15, 0.8)
    system = copy.deepcopy(cut.system)
    system.addForce(born)
    with pytest.raises(ForceFieldError, match="found a GBSAOBCForce, which has its own charges"):
        couple(*(system, cut.topology, cut.region, TOY), coupling=Mechanical(boundary=cut.boundary))
    with pytest.raises(ConfigError, match=r"charges='shift'\) with Interpolated\(\)"):
        Mechanical(boundary=LinkAtoms(charges="shift"), inside=Interpolated())
    (force,) = [f for f in cut.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    carbon = cut.bonds[0][0]
    charge = force.getParticleParameters(carbon)[0]._value
    system = with_charge(cut, carbon, -charge)
    with pytest.raises(ForceFieldError, match=r"found no charge on an atom of the 1-4 pair"):
        couple(*(system, cut.topology, cut.region, TOY), coupling=Mechanical(boundary=cut.boundary))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"bonds": "C-X"}, r"found the bond 'C-X', allowed: two of .*, 'any single', or 'amide'"),
        ({"bonds": ("C-C", "all")}, "found the bond 'all'"),
        ({"bonds": ("C-H",)}, "found the bond 'C-H'"),
        ({"bonds": ()}, "found no kind of bond"),
        ({"charges": "even"}, "found charges='even', allowed: 'keep', 'shift'"),
        ({"distances": {"CN": 0.1}}, "found the bond 'CN'"),
        ({"distances": {"C-N": 1.05}}, "found the distance 1.05 nm .* of C-N, allowed: 0.05 to"),
    ],
)
def test_invalid_options_are_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        LinkAtoms(**choices)
