"""A capped region of prepare-nnp: model.json, TorchScript, and a run that uses them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import openmm
import pytest
import torch
from force_fields import amber14
from openmm import app, unit

from nnpmm import load_model, read_model_file
from nnpmm.core.errors import ConfigError, InputFileError, RegionError
from nnpmm.coupling import LinkAtoms, Mechanical, Role, couple
from nnpmm.models.preparation import prepare_nnp
from nnpmm.simulation import parse_config
from nnpmm.simulation.runner import prepare_system

# Peptide group: two cuts, C-C and N-C, with hydrogens at two distances.
SELECTION = "(resname ACE and name C O) or (resname ALA and name N H)"
KINDS = ("C-C", "C-N")


@pytest.fixture(scope="module")
def case():
    return amber14()


@pytest.fixture(scope="module")
def prepared(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    case.topology.setPeriodicBoxVectors(case.box * unit.nanometer)
    with open(folder / "system.pdb", "w") as file:
        app.PDBFile.writeFile(case.topology, case.positions * unit.nanometer, file, keepIds=True)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(case.system))
    prepare_nnp(
        *(folder / "system.pdb", SELECTION, "ANI-1x"),
        members=[0],
        link_atoms=KINDS,
        output=folder,
    )
    return folder


def test_model_json_describes_the_link_atoms(case, prepared):
    content = read_model_file(prepared / "model.json")
    names = [f"{a.residue.name}:{a.name}" for a in case.topology.atoms()]
    found = {(names[c.inside], names[c.outside]): c.distance for c in content.link_atoms}
    assert found == {("ACE:C", "ACE:CH3"): 0.109, ("ALA:N", "ALA:CA"): 0.101}
    assert content.link_bonds == KINDS
    assert content.formal_charge == 0  # formamide


def test_torchscript_module_equals_the_capped_network(case, prepared):
    """Positions of all atoms, or of the region with its neighbours, give the same."""
    content = read_model_file(prepared / "model.json")
    model = load_model(str(prepared / "model.json"), precision="double", backend="reference")
    coupling = Mechanical(boundary=LinkAtoms(KINDS))
    hybrid = couple(case.system, case.topology, content.atoms, model, coupling=coupling)
    assert set(hybrid.region.cut_bonds) == {(c.inside, c.outside) for c in content.link_atoms}
    rows = hybrid.region.network_atoms
    energy, forces = hybrid.evaluator(case.positions[rows])
    module = torch.jit.load(prepared / "model.pt")
    for positions, atoms in (
        (case.positions, rows),
        (case.positions[rows], np.arange(len(rows))),
    ):
        x = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        found = module(x)
        found.backward()
        assert found.item() == pytest.approx(energy, abs=1e-2)
        np.testing.assert_allclose(-x.grad.numpy()[atoms], forces, rtol=0, atol=0.1)
        assert not np.delete(x.grad.numpy(), atoms, axis=0).any()


def run_settings(folder, **region):
    return parse_config(
        {
            "system": {"type": "openmm", "system": "system.xml", "structure": "system.pdb"},
            "region": {"nnpfile": "model.json", **region},
            "ensemble": {"type": "NVT"},
            "stages": {"production": {"length": "1 ps"}},
        },
        base=folder,
    )


def test_run_uses_the_link_atoms_of_the_file(case, prepared):
    hybrid = prepare_system(run_settings(prepared)).hybrid
    assert [len(bond) for bond in hybrid.region.cut_bonds] == [2, 2]
    expected = {0.109, 0.101}
    rows = hybrid.region.network_atoms
    capped = hybrid.evaluator.capped(case.positions[rows])
    lengths = np.linalg.norm(
        capped[-2:] - case.positions[[i for i, _ in hybrid.region.cut_bonds]], axis=1
    )
    assert set(np.round(lengths, 6)) == expected
    assert hybrid.groups[Role.NETWORK]


def test_inconsistent_link_atoms_are_refused(prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "copy")
    content = json.loads((folder / "model.json").read_text())
    first = content["link_atoms"].pop()
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(InputFileError, match=r"model.json has 1 link atoms, but .* disagree"):
        prepare_system(run_settings(folder))
    content["link_atoms"].append({**first, "outside": content["atoms"][0]})
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(InputFileError, match=r"expected one of the region and one outside"):
        read_model_file(folder / "model.json")


def test_cut_bond_of_a_kind_not_allowed_is_refused(prepared, tmp_path):
    pdb = prepared / "system.pdb"
    with pytest.raises(
        RegionError, match=r"cuts 2 covalent bonds .* or cap single bonds with link atoms"
    ):
        prepare_nnp(pdb, SELECTION, "ANI-1x", output=tmp_path)
    with pytest.raises(RegionError, match=r"found a C-N bond, allowed: C-C; .* allow it: 'C-N'"):
        prepare_nnp(pdb, SELECTION, "ANI-1x", link_atoms="C-C", output=tmp_path)
    with pytest.raises(ConfigError, match=r"found the bond 'any'"):
        prepare_nnp(pdb, SELECTION, "ANI-1x", link_atoms="any", output=tmp_path)
    assert not list(tmp_path.iterdir())
