"""Relative binding free energies: from files of a protein and its ligands to numbers."""

from __future__ import annotations

import json
import sys
from unittest import mock

import numpy as np
import openmm
import pytest
import yaml
from campaign_jobs import assert_job_finds
from contracts import random_rotation
from rdkit.Geometry import Point3D
from small_transfer import SMALL, write_inputs

from nnpmm.campaigns import ClusterSettings
from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, InputFileError, RegionError, SimulationError
from nnpmm.core.settings.reading import parse_settings
from nnpmm.coupling import Role, forces_by_role
from nnpmm.freeenergy.relative import RelativeSettings, run_network
from nnpmm.freeenergy.relative.anchors import choose_anchors
from nnpmm.freeenergy.relative.box import build_box, read_ligands
from nnpmm.freeenergy.relative.ladder import create_transfer_leg
from nnpmm.freeenergy.relative.template import template
from nnpmm.sampling import read_samples


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("files"))


def settings(files, **changes) -> RelativeSettings:
    inputs = {"protein": "protein.pdb", "ligands": "ligands.sdf"}
    return parse_settings(RelativeSettings, {**SMALL, **inputs, **changes}, base=files)


PAIRS = [["alcohol", "amine"], ["amine", "alkane"]]
MEASURED = {"alcohol": "1 mM", "amine": "10 uM", "alkane": "500 nM"}


def network(files, **changes):
    return settings(files, edges=PAIRS, measured=MEASURED, **changes)


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    """Two pairs of three ligands, far too short to be converged."""
    folder = tmp_path_factory.mktemp("relative")
    announced = []

    def announce(*what):
        announced.append(what)
        return lambda *_: None

    return folder, run_network(network(files), folder, announce=announce), announced


@pytest.mark.slow
def test_an_edge_as_a_job_of_a_campaign(files, finished):
    folder, result, _ = finished
    own = settings(files).of_edge(("alcohol", "amine"))
    assert_job_finds("binding-relative", own, folder / "edges/alcohol~amine", result.edges[0])


@pytest.mark.slow
def test_run_calculates_relative_binding_free_energies(finished):
    """Small molecules next to a dipeptide have similar binding free energies."""
    folder, result, announced = finished
    assert [what[0] for what in announced] == [("alcohol", "amine"), ("amine", "alkane")]
    assert not result.failures
    for edge in result.edges:
        assert abs(edge.potentials["force field"].value) < 30
        assert 0 < edge.potentials["force field"].error < 10
    fit = result.fits["force field"]
    for edge in result.edges:
        ends = [fit.estimate(name).value for name in edge.ligands]
        assert ends[1] - ends[0] == pytest.approx(edge.potentials["force field"].value)
    kt = 0.0083144626 * 298.15
    mean = kt * np.mean(np.log([1e-3, 1e-5, 5e-7]))
    assert fit.values.mean() == pytest.approx(mean, abs=1e-6)
    assert result.agreements["force field"].count == 3
    record = json.loads((folder / "result.json").read_text())
    assert record["edges"][0]["ligands"] == ["alcohol", "amine"]
    assert record["force field"]["degrees_of_freedom"] == 0
    samples = read_samples(folder / "edges/alcohol~amine/force-field/repeat-1")
    assert samples.energies.shape == (10, 7, 7)


@pytest.mark.slow
def test_reports(finished):
    folder, _, _ = finished
    page = (folder / "report.html").read_text()
    assert "Not converged: 0.2 ps for each state" in page
    assert "Kendall" in page
    energies = folder / "edges/amine~alkane/alchemlyb/force-field/repeat-1"
    tables = [np.loadtxt(path, comments=("#", "@")) for path in sorted(energies.glob("*.xvg"))]
    assert [table.shape for table in tables] == [(10, 1 + 7)] * 7
    edge = (folder / "edges/amine~alkane/report.html").read_text()
    assert edge.count("data:image/png;base64,") == 4
    assert edge.count("<svg") == 2
    for text in (page, edge):
        assert "http" not in text.replace("http://www.w3.org", "").replace(
            "http://www.rdkit.org", ""
        )


@pytest.mark.slow
def test_resume_continues_the_calculation_in_process_and_as_a_campaign(files, finished):
    """Nothing is sampled again, and a longer time samples only the rest."""
    folder, first, _ = finished
    assert run_network(network(files), folder, resume=True).record() == first.record()
    cluster = ClusterSettings(kind="serial")
    ended = []
    again = run_network(
        network(files), folder, resume=True, cluster=cluster, report=lambda *r: ended.append(r)
    )
    assert again.record() == first.record()
    assert [job.name for job, *_ in ended] == ["alcohol~amine", "amine~alkane"]
    before = read_samples(folder / "edges/alcohol~amine/force-field/repeat-1").energies
    longer = settings(files, ladder={**SMALL["ladder"], "time": "0.22 ps"})
    run_network(longer, folder, resume=True)
    after = read_samples(folder / "edges/alcohol~amine/force-field/repeat-1").energies
    assert len(after) == 11
    np.testing.assert_array_equal(after[:10], before)
    with pytest.raises(ConfigError, match="contains a calculation; resume it"):
        run_network(network(files), folder)
    with pytest.raises(ConfigError, match="started with temperature"):
        run_network(settings(files, temperature="310 K"), folder, resume=True)


@pytest.mark.slow
def test_one_ladder_gives_both_potentials(files, tmp_path):
    """The network's energy is scaled by its weight, before and after the transfer."""
    both = settings(files, potentials=["network", "force field"], network=[0.5, 1.0])
    result = run_network(both, tmp_path)
    (edge,) = result.edges
    (leg,) = edge.ladders["joint"]
    assert leg.names[:3] == ("NNP 1, 0", "NNP 0.5, 0", "0")
    assert leg.names[-3:] == ("1", "NNP 0.5, 1", "NNP 1, 1")
    network, mm = edge.potentials["network"], edge.potentials["force field"]
    assert edge.difference.value == pytest.approx(network.value - mm.value)
    free = leg.free_energies
    assert network.value == pytest.approx(free.between(0, -1).value)
    assert mm.value == pytest.approx(free.between(2, -3).value)
    energies = leg.samples.energies
    gaps = energies[..., 0] - energies[..., 2]  # network minus force field, in each sample
    np.testing.assert_allclose(energies[..., 0] - energies[..., 1], gaps / 2, rtol=0, atol=1e-2)
    near = abs(energies[..., -3]) < 1e6  # energies of overlapping atoms have too few digits
    assert near.mean() > 0.3
    moved = energies[..., -1] - energies[..., -3]
    np.testing.assert_allclose(moved[near], gaps[near], rtol=0, atol=1e-2)
    xvg = tmp_path / "edges/alcohol~amine/alchemlyb/joint/repeat-1/state-00.xvg"
    assert "(transfer-lambda, nnp-lambda) = (0.0, 1.0)" in xvg.read_text()
    assert "Ladder of both potentials" in (tmp_path / "edges/alcohol~amine/report.html").read_text()


@pytest.fixture(scope="module")
def box(files):
    return build_box(settings(files))


def test_both_ligands_are_placed_in_the_box(box):
    """The first ligand is at its pose, the second far from the protein; both have all terms."""
    atoms = list(box.mm.topology.atoms())
    assert {atoms[i].residue.name for i in box.mm.ligand_atoms} == {"MOL"}
    assert {atoms[i].residue.name for i in box.second} == {"SEC"}
    assert len(box.second) == box.molecules[1].GetNumAtoms()
    found = box.mm.positions[box.second]
    pose = np.array(box.molecules[1].GetConformer().GetPositions()) / 10
    np.testing.assert_allclose(found - found[0], pose - pose[0], atol=1e-6)
    others = np.array(box.restraints.receptor)
    distances = np.linalg.norm(box.mm.positions[others][:, None] - found, axis=-1)
    assert distances.min() > 0.3
    anchor = np.linalg.norm(
        box.mm.positions[others] - found[box.restraints.second[0] - box.second[0]], axis=1
    )
    assert anchor.min() > box.restraints.clearance
    assert {atoms[i].element.symbol for i in box.restraints.receptor} <= {"C", "N", "O"}


def test_networks_are_outside_the_atm_force_and_restraints_start_near_zero(files, box):
    leg = create_transfer_leg(settings(files), box, "network")
    roles = forces_by_role(leg.system)
    regions = [set(force.getParticles()) for force in roles[Role.NETWORK]]
    assert regions == [set(box.mm.ligand_atoms.tolist()), set(box.second.tolist())]
    restraints = [
        f for f in leg.system.getForces() if f.getName() in ("site", "apart", "alignment")
    ]
    assert len(restraints) == 3
    for force in restraints:
        force.setForceGroup(30)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(leg.system, openmm.VerletIntegrator(0.001), platform)
    context.setPeriodicBoxVectors(*np.asarray(box.mm.box_vectors))
    context.setPositions(box.mm.positions)
    energy = context.getState(energy=True, groups={30}).getPotentialEnergy()._value
    assert 0 <= energy < 10  # the poses are aligned by their cores, not exactly


def test_ligand_that_leaves_the_site_is_an_error(files, box):
    leg = create_transfer_leg(settings(files), box, "force field")
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(leg.system, openmm.VerletIntegrator(0.001), platform)
    context.setPeriodicBoxVectors(*np.asarray(box.mm.box_vectors))
    context.setPositions(box.mm.positions)
    leg.watch(context)
    moved = np.array(box.mm.positions)
    site = moved[list(box.restraints.site)].mean(axis=0)
    outward = moved[box.restraints.first[0]] - site
    moved[box.mm.ligand_atoms] += outward / np.linalg.norm(outward) * 0.22
    context.setPositions(moved)
    with pytest.raises(SimulationError, match="a ligand left the site"):
        leg.watch(context)


def test_anchors_of_both_ligands_overlap(files):
    ligands = read_ligands(files / "ligands.sdf", ("alcohol", "amine"))
    first, second = choose_anchors(*ligands.values())
    places = [
        np.array(molecule.GetConformer().GetPositions())[list(rows)]
        for molecule, rows in zip(ligands.values(), (first, second), strict=True)
    ]
    assert np.abs(places[0] - places[1]).max() < 0.8  # angstrom
    a, b, c = places[0]
    assert np.linalg.norm(np.cross(b - a, c - a)) > 1


def test_poses_without_a_common_core_are_refused(files):
    ligands = read_ligands(files / "ligands.sdf", ("alcohol", "amine"))
    second = ligands["amine"]
    conformer = second.GetConformer()
    turned = conformer.GetPositions() @ random_rotation(np.random.default_rng(1)).T + [5.0, 0, 0]
    for index, place in enumerate(turned):
        conformer.SetAtomPosition(index, Point3D(*place.tolist()))
    with pytest.raises(InputFileError, match="found 0 heavy atoms that have the same position"):
        choose_anchors(ligands["alcohol"], second)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"edges": [["alcohol", "ammonium"]]},
            r"alcohol with \+0 e and ammonium with \+1 e",
        ),
        (
            {"potentials": ["network"], "edges": [["ammonium", "methylammonium"]]},
            "but ANI-1x describes",
        ),
    ],
)
def test_unsupported_charges_are_refused(files, changes, words):
    with pytest.raises(RegionError, match=words):
        build_box(settings(files, **changes))


def test_ligands_with_equal_charges_are_supported(files):
    """Counter-ions neutralise the box, which remains neutral during the transfer."""
    wanted = settings(files, edges=[["ammonium", "methylammonium"]])
    ions = build_box(wanted)
    assert sum(residue.name == "CL" for residue in ions.mm.topology.residues()) == 2
    create_transfer_leg(wanted, ions, "force field")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"edges": [["alcohol", "x"]]}, InputFileError, "0 readable molecules with the name 'x'"),
        (
            {"edges": [["alcohol", "amine"], ["alkane", "other"]]},
            ConfigError,
            "2 parts that no edge connects",
        ),
        ({"edges": [["alcohol", "alcohol"]]}, ConfigError, "two ligands, each pair once"),
        ({"edges": [*PAIRS, ["amine", "alcohol"]]}, ConfigError, "each pair once"),
        ({"edges": [["a/b", "c"]]}, ConfigError, "names that are valid for a folder"),
        ({"measured": {"alcohol": "0 M"}}, ConfigError, "more than 0 M"),
        ({"ladder": {"half": [[0, 0], [0.5, 0.4]]}}, ConfigError, r"rise from \(0, 0\)"),
    ],
)
def test_invalid_settings_are_refused(files, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        run_network(settings(files, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_template_is_valid(tmp_path):
    parse_settings(RelativeSettings, yaml.safe_load(template()), base=tmp_path)


def test_command_reports_missing_options(capsys):
    with pytest.raises(SystemExit) as ended:
        _main(["binding-relative", "--protein", "protein.pdb"])
    assert ended.value.code == 2
    assert "--edge A,B" in capsys.readouterr().err


def _main(arguments):
    with mock.patch.object(sys, "argv", ["nnpmm", *arguments]):
        main()
