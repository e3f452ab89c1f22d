"""Options of the output: a trajectory of some atoms, and the ligand with its bond orders."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest
from openmm import app
from rdkit import Chem
from toys import prepared_water, protocol

from nnpmm.core.errors import ConfigError, SelectionError
from nnpmm.simulation import parse_config, run, run_protocol
from nnpmm.simulation.stages.trajectory_atoms import trajectory_atoms

pytestmark = pytest.mark.usefixtures("empty_report")


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_selected_atoms_match_the_whole_trajectory(tmp_path, fmt):
    whole, part = tmp_path / "whole", tmp_path / "part"
    run_protocol(prepared_water(), protocol(whole, fmt=fmt), progress=False)
    settings = protocol(part, fmt=fmt, output={"trajectory_atoms": "resid 0 or resid 3"})
    run_protocol(prepared_water(), settings, progress=False)
    everything = mdtraj.load(whole / f"trajectory.{fmt}", top=whole / "topology.pdb")
    some = mdtraj.load(part / f"trajectory.{fmt}", top=part / "trajectory.pdb")
    assert some.n_frames == everything.n_frames == 50
    atoms = [0, 1, 2, 9, 10, 11]
    # XTC has a precision of 0.001 nm, except for up to nine atoms.
    tolerance = 6e-4 if fmt == "xtc" else 1e-6
    np.testing.assert_allclose(some.xyz, everything.xyz[:, atoms], rtol=0, atol=tolerance)
    assert [a.name for a in some.topology.atoms] == ["O", "H1", "H2"] * 2
    assert app.PDBFile(str(part / "topology.pdb")).topology.getNumAtoms() == 24
    assert not (whole / "trajectory.pdb").exists()


def test_selection_continues_on_resume_and_cannot_change(tmp_path):
    short = protocol(tmp_path, output={"trajectory_atoms": "resid 1"})
    run_protocol(prepared_water(), short, progress=False)
    longer = protocol(tmp_path, production="0.2 ps", output={"trajectory_atoms": "resid 1"})
    run_protocol(prepared_water(), longer, resume=True, progress=False)
    frames = mdtraj.load(tmp_path / "trajectory.dcd", top=tmp_path / "trajectory.pdb")
    assert (frames.n_frames, frames.n_atoms) == (100, 3)
    other = protocol(tmp_path, output={"trajectory_atoms": "all"})
    with pytest.raises(ConfigError, match=r"output\.trajectory_atoms"):
        run_protocol(prepared_water(), other, resume=True, progress=False)


def test_production_without_frames_gives_a_warning(tmp_path, caplog):
    output = {"trajectory_interval": "1 ps"}
    settings = protocol(tmp_path, production="0.02 ps", output=output)
    run_protocol(prepared_water(), settings, progress=False)
    (warning,) = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert warning == (
        "stages.production.length (0.02 ps) is shorter than output.trajectory_interval (1 ps): "
        "the trajectory will have no frames"
    )


@pytest.mark.parametrize("wanted", ["resname LIG", "resname (", "solute"])
def test_empty_selection_is_refused_before_the_run(tmp_path, wanted):
    folder = tmp_path / "run"
    settings = protocol(folder, output={"trajectory_atoms": wanted})
    with pytest.raises(SelectionError):
        run_protocol(prepared_water(), settings, progress=False)
    assert not folder.exists()


def test_solute_excludes_water_and_ions():
    topology = app.Topology()
    chain = topology.addChain()
    for name, symbols in (("LIG", "CO"), ("WAT", "OHH"), ("XXX", "OHH"), ("NA", ["Na"])):
        residue = topology.addResidue(name, chain)
        for symbol in symbols:
            topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    assert trajectory_atoms(topology, "solute").tolist() == [0, 1]
    assert trajectory_atoms(topology, "all") is None


def built(folder, **output):
    intervals = {f"{name}_interval": "10 fs" for name in ("trajectory", "log", "checkpoint")}
    return parse_config(
        {
            "system": {"type": "build", "smiles": "C/C=C/C(=O)O", "padding": "0.7 nm",
                       "cutoff": "0.7 nm"},
            "region": {"model": "ANI-1x", "members": 0},
            "stages": {
                "minimize": {"max_iterations": 20},
                "warmup": None,
                "equilibrate": None,
                "production": {"length": "20 fs"},
            },
            "output": {"directory": str(folder), **intervals, **output},
        }
    )  # fmt: skip


@pytest.mark.slow
def test_ligand_sdf_has_bond_orders(tmp_path):
    settings = built(tmp_path / "run", ligand_sdf=True, trajectory_atoms="solute")
    result = run(settings, progress=False)
    (molecule,) = Chem.SDMolSupplier(str(tmp_path / "run" / "ligand.sdf"), removeHs=False)
    assert Chem.MolToSmiles(Chem.RemoveHs(molecule)) == Chem.CanonSmiles("C/C=C/C(=O)O")
    final = mdtraj.load(result.final_structure)
    ligand = final.topology.select("resname MOL")
    positions = molecule.GetConformer().GetPositions() / 10
    np.testing.assert_allclose(positions, final.xyz[0, ligand], rtol=0, atol=1e-4)
    frames = mdtraj.load(result.trajectory, top=tmp_path / "run" / "trajectory.pdb")
    assert frames.n_atoms == len(ligand) == 12
    assert frames.topology.n_bonds == 11


def test_ligand_sdf_requires_bond_orders():
    settings = {
        "system": {"type": "openmm", "system": "a.xml", "structure": "a.pdb"},
        "region": {"selection": "resname LIG", "model": "ANI-2x"},
        "output": {"ligand_sdf": True},
    }
    with pytest.raises(ConfigError, match=r"output\.ligand_sdf.*no bond orders.*build"):
        parse_config(settings)
