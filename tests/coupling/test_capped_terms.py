"""Terms across a cut bond are counted once: assignment of terms, stiffness of the bond."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import Case, energy_and_forces

from nnpmm import create_hybrid_system, load_model
from nnpmm.coupling import LinkAtoms, Mechanical
from nnpmm.coupling.capped_terms import CappedTerms
from nnpmm.structures import (
    create_ligand_system,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)


@pytest.fixture(scope="module")
def butane():
    molecule = molecule_from_smiles("CCCC", seed=1)
    topology, positions = to_openmm_topology(molecule)
    return Case(
        topology=topology,
        system=create_ligand_system(molecule, parameterize(molecule)),
        positions=np.array(positions),
        box=None,
        region=np.array([0, 4, 5, 6]),
    )


def test_cut_bond_has_a_realistic_stiffness(butane):
    """Stiffness with the force field, the network on all atoms, and a cut C1-C2 bond.

    Terms counted twice would give 440,000 kJ/mol/nm^2 and 1,130 kJ/mol/rad^2.
    """
    model = load_model("ANI-1x", 0, backend="reference", precision="double")
    whole = create_hybrid_system(butane.system, butane.topology, range(14), model)
    capped = create_hybrid_system(
        butane.system,
        butane.topology,
        butane.region,
        model,
        coupling=Mechanical(boundary=LinkAtoms()),
    )
    systems = (butane.system, whole, capped)
    stretches, tilts = zip(*(stiffness(butane, system) for system in systems), strict=True)
    # Terms counted twice, or not at all, would change a stiffness by that of the force field.
    for values in (stretches, tilts):
        assert 0.75 * min(values[:2]) < values[2] < 1.25 * max(values[:2])


def stiffness(butane, system):
    """Stiffness of the first C-C bond and of the methyl's tilt, at the minimum."""
    context = butane.context(system)
    openmm.LocalEnergyMinimizer.minimize(context, 0.01)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    along = (x[0] - x[1]) / np.linalg.norm(x[0] - x[1])
    axis = np.cross(along, x[2] - x[1])
    axis /= np.linalg.norm(axis)
    arms = x[butane.region] - x[0]

    def second_derivative(moved, step):
        energies = []
        for shift in (-step, 0.0, step):
            y = x.copy()
            y[butane.region] = x[0] + moved(shift)
            context.setPositions(y)
            energies.append(energy_and_forces(context)[0])
        return (energies[0] - 2 * energies[1] + energies[2]) / step**2

    def tilted(angle):  # Rodrigues' formula
        turned = np.cos(angle) * arms + np.sin(angle) * np.cross(axis, arms)
        return turned + (1 - np.cos(angle)) * np.outer(arms @ axis, axis)

    return second_derivative(lambda s: arms + s * along, 5e-4), second_derivative(tilted, 0.01)


# Region atoms 0 to 4: a chain 2-1-0 to the cut bond 0-10 and one back, 2-3-11; 10-12 outside.
BONDS = [(2, 1), (1, 0), (0, 10), (2, 3), (3, 11), (10, 12), (1, 4)]


@pytest.mark.parametrize(
    ("atoms", "further", "networks"),
    [
        ({0, 1}, [], True),
        ({0, 10}, [], False),  # the stretch
        ({1, 10}, [], True),  # Urey-Bradley
        ({2, 10}, [], False),  # a 1-4 pair
        ({0, 12}, [], False),
        ({1, 0, 10}, [], True),
        ({0, 10, 12}, [], False),
        ({2, 1, 0, 10}, [], True),
        ({1, 0, 10, 12}, [], False),
        ({11, 3, 2, 1}, [], True),
        ({4, 1, 0, 10}, [], True),
        ({10, 0, 13}, [(0, 13)], True),  # two caps on one atom
        ({10, 13}, [(0, 13)], True),
        ({10, 0, 1, 13}, [(1, 13)], True),  # a cap at each end
        ({0, 10, 11, 3}, [(10, 11)], False),  # two neighbours bonded to each other
        ({4, 2, 1, 0, 10}, [], True),  # a CMAP
    ],
)
def test_terms_included_in_the_capped_network(atoms, further, networks):
    assert CappedTerms(range(5), BONDS + further).include(atoms) is networks
    assert CappedTerms(range(5)).include(atoms) is (max(atoms) < 5)  # without link atoms
