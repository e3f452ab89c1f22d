"""Boxes of a liquid from Tinker files of one molecule each."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import shared_data
from openmm import unit
from scipy.spatial import cKDTree
from tinker_files import HEADER, PEROXIDE, WATER, write

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.inputs import TinkerSystem, dissolve_tinker, load_system

ONE_WATER = """3 water
1 O 0.0 0.0 0.0 1 2 3
2 H 0.95 0.0 0.0 2 1
3 H -0.28 0.91 0.0 2 1
"""
ONE_PEROXIDE = """4 peroxide
1 O 0.73 0.0 0.0 11 2 3
2 O -0.73 0.0 0.0 11 1 4
3 H 0.9 0.94 0.1 12 1
4 H -0.9 -0.3 0.9 12 2
"""


@pytest.fixture
def solute(tmp_path):
    """Hydrogen peroxide alone."""
    return TinkerSystem(
        type="tinker",
        xyz=write(tmp_path, "peroxide.xyz", ONE_PEROXIDE),
        parameters=(
            write(tmp_path, "water.prm", HEADER + WATER),
            write(tmp_path, "solute.prm", PEROXIDE),
        ),
        cutoff=0.6,
        vdw_cutoff=0.6,
    )


@pytest.fixture
def water(tmp_path):
    return write(tmp_path, "water.xyz", ONE_WATER)


def test_box_of_a_liquid(tmp_path, solute, water):
    """The written box has the same types and bonds, whole molecules, and no overlap."""
    packed = dissolve_tinker(solute, water, padding=0.6, seed=1)
    box = write(tmp_path, "box.xyz", packed.text)
    mm = load_system(solute.model_copy(update={"xyz": box}))
    names = [atom.element.symbol for atom in mm.topology.atoms()]
    assert (packed.n_solute, names[:7]) == (4, ["O", "O", "H", "H", "O", "H", "H"])
    assert len(names) % 3 == 1
    bonds = [(a.index, b.index) for a, b in mm.topology.bonds()]
    assert len(bonds) == 3 + 2 * (len(names) - 4) // 3
    lengths = [np.linalg.norm(mm.positions[i] - mm.positions[j]) for i, j in bonds]
    assert 0.09 < min(lengths) and max(lengths) < 0.15
    width = mm.box_vectors[0, 0]
    molecules = np.array([0] * 4 + [1 + k // 3 for k in range(len(names) - 4)])
    near = cKDTree(np.mod(mm.positions, width), boxsize=width).query_pairs(0.19)
    assert all(molecules[i] == molecules[j] for i, j in near)
    mass = sum(atom.element.mass.value_in_unit(unit.dalton) for atom in mm.topology.atoms())
    density = DALTON_PER_NM3_IN_G_PER_ML * mass / width**3
    assert density == pytest.approx(0.5 * packed.typical, rel=0.15)


def test_seed_determines_the_box(solute, water):
    texts = [dissolve_tinker(solute, water, padding=0.6, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_several_molecules_in_one_file_are_refused(tmp_path, solute):
    two = ONE_WATER.replace("3 water", "6 waters")
    two += "4 O 3.0 0.0 0.0 1 5 6\n5 H 3.95 0.0 0.0 2 4\n6 H 2.72 0.91 0.0 2 4\n"
    with pytest.raises(InputFileError, match=r"two.xyz: found 2 molecules, allowed: one molecule"):
        dissolve_tinker(solute, write(tmp_path, "two.xyz", two), padding=0.6)


def test_solvent_without_parameters_is_refused(tmp_path, solute, water):
    """The message names the types that the parameter file lacks."""
    unknown = write(tmp_path, "unknown.xyz", ONE_WATER.replace("0.0 1 2 3", "0.0 99 2 3"))
    with pytest.raises(InputFileError, match=r"Atom type 99 not found"):
        dissolve_tinker(solute, unknown, padding=0.6)


def test_charged_solvent_is_refused(tmp_path, solute, water):
    text = solute.parameters[0].read_text().replace("-0.50000\n", "0.50000\n", 1)
    parameters = (write(tmp_path, "ion.prm", text), solute.parameters[1])
    charged = solute.model_copy(update={"parameters": parameters})
    with pytest.raises(ConfigError, match=r"water.xyz: found a solvent molecule of charge \+1.00"):
        dissolve_tinker(charged, water, padding=0.6)


def test_a_box_is_wide_enough_for_the_cutoff(solute, water):
    wide = solute.model_copy(update={"vdw_cutoff": None})  # 1.2 nm
    packed = dissolve_tinker(wide, water, padding=0.6)
    n_waters = (len(packed.text.splitlines()) - 2 - packed.n_solute) / 3
    assert (n_waters * 18.015 / 0.997 / 602.2) ** (1 / 3) > 2.4


# SMILES, types of amoeba09.prm of the heavy atoms and of the hydrogens on each; g/ml at 25 C.
LIQUIDS = {
    "toluene": (
        *("Cc1ccccc1", (239, 241, 242, 243, 244, 243, 242), (240, 0, 245, 246, 247, 246, 245)),
        0.8623,
    ),
    "acetonitrile": ("CC#N", (212, 210, 211), (213, 0, 0), 0.7766),
    "dmso": ("CS(C)=O", (191, 189, 191, 190), (192, 0, 192, 0), 1.0955),
}


@pytest.mark.data
@pytest.mark.parametrize("name", LIQUIDS)
def test_solvents_of_the_published_protocol(name, tmp_path):
    """Boxes are read with the published parameters, at half of about the liquid's density."""
    smiles, heavy, hydrogens, density = LIQUIDS[name]
    molecule = molecule_from_smiles(smiles, seed=1)
    lines = [f"{molecule.GetNumAtoms()} {name}"]
    for atom, place in zip(
        molecule.GetAtoms(), molecule.GetConformer().GetPositions().tolist(), strict=True
    ):
        near = [other.GetIdx() for other in atom.GetNeighbors()]
        kind = heavy[atom.GetIdx()] if atom.GetAtomicNum() > 1 else hydrogens[near[0]]
        fields = [atom.GetIdx() + 1, atom.GetSymbol(), *place, kind, *(k + 1 for k in near)]
        lines.append(" ".join(map(str, fields)))
    source = TinkerSystem(
        type="tinker",
        xyz=write(tmp_path, f"{name}.xyz", "\n".join(lines) + "\n"),
        parameters=(shared_data("deep-hp") / "amoeba09.prm",),
        vdw_cutoff=0.8,
    )
    packed = dissolve_tinker(source, source.xyz, padding=0.75, seed=1)
    assert packed.typical == pytest.approx(density, rel=0.15)
    box = write(tmp_path, "box.xyz", packed.text)
    mm = load_system(source.model_copy(update={"xyz": box}))
    assert mm.topology.getNumAtoms() % molecule.GetNumAtoms() == 0
    assert mm.system.getNumParticles() > 400
