"""From SMILES to beads: against published types, against measured logP, and bad input."""

import csv
import io
import json
import sys

import numpy as np
import pytest
from conftest import ROOT
from rdkit import Chem
from rdkit.Chem import Crippen

from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.graphs import load_property_model
from nnpmm.permeation.mapping import bead_types, map_smiles, octanol
from nnpmm.permeation.mapping.bead_types import PUBLISHED, HydrogenBonds, nearest_type
from nnpmm.permeation.mapping.drawing import mapping_png
from nnpmm.permeation.mapping.fragments import divisions
from nnpmm.permeation.mapping.lipophilicity import estimate_log_p
from nnpmm.permeation.mapping.molecules import read_molecule
from nnpmm.permeation.martini import parse_solute
from nnpmm.permeation.martini.solute import solute_graph

MODEL = ROOT / "nnpmm" / "permeation" / "mapping" / "logp.json"
#: Building blocks of Marrink et al. 2007, table 3, whose type the estimate alone finds, and the
#: type that it finds for the others.
RIGHT = [
    *("CCCN", "CC(C)=O", "CCC#N", "CCC=O", "CCOC", "CC#CC", "C=CC=C", "CC=CC"),
    *("CCCCl", "CC(C)Br", "CCCC", "CC(C)C"),
]
WRONG = {
    "CC(N)=O": "P2",
    "OCCO": "P2",
    "CC(=O)O": "P1",
    "CNC=O": "P2",
    "CCO": "P1",
    "CCCO": "Nda",
    "CC(C)O": "Nda",
    "CCCCO": "C5",
    "C[N+](=O)[O-]": "P1",
    "COC=O": "P1",
    "CCCS": "C4",
    "CCSC": "C4",
    "ClC(Cl)Cl": "C3",
    "CCC": "C1",
}


@pytest.fixture(scope="module")
def measured():
    """SMILES and measured logP of small molecules."""
    path = ROOT / "benchmarks" / "data" / "octanol_water.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["smiles"] for row in rows], np.array([float(row["logp"]) for row in rows])


@pytest.mark.parametrize("smiles", PUBLISHED)
def test_published_building_blocks(smiles):
    assert map_smiles(smiles).graph == PUBLISHED[smiles]
    estimated = map_smiles(smiles, published=False).graph
    assert estimated == (PUBLISHED[smiles] if smiles in RIGHT else WRONG[smiles])


def test_accuracy_of_estimated_types():
    """12 of 26 types are exact, and the others are within 7 kJ/mol in octanol/water."""
    assert set(RIGHT) | set(WRONG) == set(PUBLISHED) and len(RIGHT) == 12
    levels = octanol.BEAD_FREE_ENERGIES
    off = [abs(levels[WRONG[smiles]] - levels[PUBLISHED[smiles]]) for smiles in WRONG]
    assert max(off) < 7.0 and np.sqrt(np.mean(np.square(off + [0.0] * 12))) < 3.5


def test_coefficients_are_the_least_squares_fit(measured):
    smiles, log_p = measured
    molecules = [read_molecule(text) for text in smiles]
    crippen = np.array([Crippen.MolLogP(molecule) for molecule in molecules])
    carbon, polar = Chem.MolFromSmarts("[CX4]"), Chem.MolFromSmarts("[#7,#8]")
    columns = np.array(
        [
            [1.0, len(m.GetSubstructMatches(carbon)), float(m.HasSubstructMatch(polar))]
            for m in molecules
        ]
    )
    best = np.linalg.lstsq(columns, log_p - crippen, rcond=None)[0]
    used = (octanol.PER_MOLECULE, octanol.PER_SP3_CARBON, octanol.WITH_NITROGEN_OR_OXYGEN)
    np.testing.assert_allclose(used, best, atol=6e-4, rtol=0)
    found = np.array([octanol.atomic_log_p(molecule).sum() for molecule in molecules])
    np.testing.assert_allclose(found, crippen + columns @ used, atol=1e-9, rtol=0)


def test_beads_add_up_to_measured_octanol_water(measured):
    """The rms error in logP is below that of molecules to which the estimate was not fitted."""
    smiles, log_p = measured
    found = [map_smiles(text) for text in smiles]
    contributions = [octanol.atomic_log_p(read_molecule(text)).sum() for text in smiles]
    rms = [
        np.sqrt(np.mean((np.array(values) - log_p) ** 2))
        for values in (contributions, [m.log_p for m in found], [m.bead_log_p for m in found])
    ]
    assert rms[0] == pytest.approx(0.36, abs=0.01)  # Crippen's own: 0.62
    assert rms[1] < 0.30
    assert rms[2] == pytest.approx(octanol.BEAD_LOG_P_ERROR, abs=0.05)


def test_log_p_errors_match_the_deviations_of_test_molecules(measured):
    """Errors are those of test molecules, and larger for unusual molecules."""
    smiles, log_p = measured
    model = load_property_model(MODEL)
    values = dict(zip(map(Chem.CanonSmiles, smiles), log_p, strict=True))
    tested = [map_smiles(text) for text in model.card.test]
    ratios = [(m.log_p - values[m.smiles]) / m.log_p_error for m in tested]
    assert len(tested) == 15 and np.sqrt(np.mean(np.square(ratios))) < 2.0
    foreign = map_smiles("FC(F)(F)C(F)(F)C(F)(F)C(F)(F)S(=O)(=O)N")
    assert foreign.log_p_error > 2.0 * np.mean([m.log_p_error for m in tested])


def test_log_p_model_is_small_and_contains_no_paths():
    assert MODEL.with_suffix(".safetensors").stat().st_size < 5_000_000
    settings = json.loads(MODEL.read_text())["settings"]
    assert settings["data"] == "octanol_water.csv" and "/" not in settings["pretrained"]


@pytest.mark.parametrize(
    ("smiles", "graph", "sizes"),
    [
        ("CCCCCCCCO", "C1-Nda", [4, 5]),  # octanol
        ("CCCCCCCC", "C1-C1", [4, 4]),
        ("CCCCCCCCCCCC", "C1-C1-C1", [4, 4, 4]),
        ("c1ccccc1", "C5-C5", [3, 3]),  # published: three small SC5
        ("C1CCCCC1", "C4-C4", [3, 3]),  # published: three small SC1
        ("CC(=O)Nc1ccc(O)cc1", "Nda-C5-P5", [4, 3, 4]),  # paracetamol
        ("c1ccc2ccccc2c1", "N0-N0-C5+1-3", [3, 3, 4]),
        ("CC(C)(C)c1cc(C(C)(C)C)cc(C(C)(C)C)c1", "C1-N0-C1.N0-C1+2-4", [4, 3, 4, 3, 4]),
    ],
)
def test_mapping_of_larger_molecules(smiles, graph, sizes):
    found = map_smiles(smiles)
    assert found.graph == graph
    assert [len(bead.atoms) for bead in found.beads] == sizes
    kind = parse_solute(graph)
    assert [bead.type for bead in kind.beads] == [bead.type for bead in found.beads]
    covered = sorted(atom for bead in found.beads for atom in bead.atoms)
    assert covered == list(range(found.molecule.GetNumAtoms()))
    whole = estimate_log_p(found.molecule).value * octanol.KJ_PER_LOGP
    assert sum(bead.free_energy for bead in found.beads) == pytest.approx(whole)


def test_given_log_p_is_distributed_over_the_fragments():
    found = map_smiles("CCCCCCCCO", log_p=3.0)
    assert found.log_p == pytest.approx(3.0)
    plain = map_smiles("CCCCCCCCO")
    same = map_smiles("CCCCCCCCO", log_p=plain.log_p)
    assert same.graph == plain.graph
    shift = (3.0 - plain.log_p) * octanol.KJ_PER_LOGP / 9  # for each heavy atom
    for bead, other in zip(found.beads, plain.beads, strict=True):
        assert bead.free_energy - other.free_energy == pytest.approx(shift * len(bead.atoms))
    # The more polar molecule gets more polar beads.
    assert map_smiles("CCCCCCCCO", log_p=-2.0).bead_log_p < plain.bead_log_p
    with pytest.raises(ConfigError, match="found a logP of nan, expected a number"):
        map_smiles("CCO", log_p=float("nan"))


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"])
def test_mapping_is_independent_of_the_order_of_atoms(smiles):
    molecule = Chem.MolFromSmiles(smiles)
    rng = np.random.default_rng(5)
    written = set()
    for _ in range(10):
        order = rng.permutation(molecule.GetNumAtoms()).tolist()
        written.add(Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False))
    assert len(written) > 5
    assert {map_smiles(text).graph for text in written} == {map_smiles(smiles).graph}


def test_functional_groups_are_not_divided():
    acid = map_smiles("CCCCCC(=O)O")
    group = Chem.MolFromSmarts("C(=O)O")
    atoms = set(acid.molecule.GetSubstructMatch(group))
    assert any(atoms <= set(bead.atoms) for bead in acid.beads)


def test_divisions_have_the_minimum_cost():
    """All partitions of a small molecule into connected parts are compared."""
    molecule = read_molecule("CC(C)CC(=O)OC")
    adjacency = Chem.GetAdjacencyMatrix(molecule)

    def connected(part):
        reached = {part[0]}
        while new := {j for i in reached for j in part if adjacency[i, j]} - reached:
            reached |= new
        return len(reached) == len(part)

    def partitions(atoms):
        if not atoms:
            yield []
            return
        first, *rest = atoms
        for mask in range(1 << len(rest)):
            part = [first] + [a for n, a in enumerate(rest) if mask >> n & 1]
            if len(part) <= 6 and connected(part):
                left = [a for n, a in enumerate(rest) if not mask >> n & 1]
                for others in partitions(left):
                    yield [part, *others]

    (carbonyl, oxide, ester) = molecule.GetSubstructMatch(Chem.MolFromSmarts("C(=O)O"))

    def cost(division):
        place = {atom: n for n, part in enumerate(division) for atom in part}
        cut = 0.5 * (place[carbonyl] != place[oxide]) + 0.25 * (place[carbonyl] != place[ester])
        return cut + sum((len(part) / 4.0 - 1.0) ** 2 for part in division)

    every = list(partitions(list(range(molecule.GetNumAtoms()))))
    least = min(map(cost, every))
    best = {frozenset(map(frozenset, d)) for d in every if cost(d) < least + 1e-9}
    assert {frozenset(d) for d in divisions(molecule)} == best


@pytest.mark.parametrize(
    ("hydrogens", "on_nitrogen", "accepts", "intermediate", "polar"),
    [
        (0, False, False, "N0", "P3"),
        (0, False, True, "Na", "P3"),
        (1, False, True, "Nda", "P3"),
        (2, True, False, "Nd", "P5"),
        (2, False, True, "Nda", "P4"),
    ],
)
def test_hydrogen_bonds_choose_among_equal_types(
    hydrogens, on_nitrogen, accepts, intermediate, polar
):
    bonds = HydrogenBonds(hydrogens, on_nitrogen, accepts)
    assert nearest_type(3.0, bonds) == intermediate
    assert nearest_type(-12.0, bonds) == polar
    assert nearest_type(-3.0, bonds) == "P1" and nearest_type(30.0, bonds) == "C1"


@pytest.mark.data
def test_bead_free_energies_match_the_published_table(shared_octanol):
    assert shared_octanol.items() >= octanol.BEAD_FREE_ENERGIES.items()
    assert len(octanol.BEAD_FREE_ENERGIES) == 14


@pytest.fixture
def shared_octanol():
    """The published table is the source of these numbers."""
    from conftest import shared_data

    text = shared_data("martini2/martini2_octanol_water_dG_kJmol.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["bead"]: float(row["dG_ow_kJmol"]) for row in rows}


def test_parts_of_rings_have_no_published_type():
    molecule = read_molecule("C1CCCCCCC1")
    assert bead_types.published_type(molecule, (0, 1, 2, 3)) is None
    chain = read_molecule("CCCCCCCC")
    assert bead_types.published_type(chain, (0, 1, 2, 3)) == "C1"


@pytest.mark.parametrize(
    ("types", "bonds", "graph"),
    [
        (["P4", "C1"], [(0, 1)], "C1-P4"),
        (["C1"], [], "C1"),
        (["C1", "C2", "C3"], [(0, 1), (1, 2), (0, 2)], "C1-C2-C3+1-3"),
        (["C1", "C2", "C3", "P4"], [(0, 1), (0, 2), (0, 3)], "C2-C1-C3.P4+2-4"),
        (["C1", "C2", "C3", "P4"], [(0, 2), (2, 1), (1, 3)], "C1-C3-C2-P4"),
    ],
)
def test_written_graphs_are_parsed_back(types, bonds, graph):
    order, text = solute_graph(types, bonds)
    assert text == graph
    kind = parse_solute(text)
    assert [bead.type for bead in kind.beads] == [types[n] for n in order]
    place = {bead: n for n, bead in enumerate(order)}
    expected = sorted(tuple(sorted((place[i], place[j]))) for i, j in bonds)
    assert [(bond.i, bond.j) for bond in kind.bonds] == expected


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("CC(", "rdkit cannot read it; expected a molecule such as CCO"),
        ("", "rdkit cannot read it"),
        ("C[N+](C)(C)C", r"a charge of \+1, beads are neutral: give the neutral form"),
        ("CC(=O)[O-].[Na+]", "2 fragments, expected one molecule: remove salts"),
        ("[NH3+]CC(=O)[O-]", r"a charge of \+1 on N, .* zwitterion"),
        ("C[Si](C)(C)C", "element Si, allowed: H, C, N"),
        ("C[CH2]", r"unpaired electrons on atoms \[1\] of SMILES 'C\[CH2\]'"),
        ("CC[O]", "unpaired electrons"),
        ("C[C]C", "unpaired electrons"),
        ("CC[N]C", "unpaired electrons"),
        ("   ", "rdkit cannot read it"),
        ("CCO ethanol", "found a space in it"),
        ("CC\nO", "found a space in it"),
        ("C" * 5000, r"C{60}\.\.\. \(5000 characters\)': found 5000 heavy atoms"),
        ("(" * 5000, r"\({60}\.\.\. \(5000 characters\)': rdkit cannot read it"),
        ("CCO.Cl", "2 fragments, expected one molecule: remove salts"),
        ("C.*", "2 fragments"),
        ("CC*", r"element \*, allowed"),
        ("C", "1 heavy atoms, allowed 2 to 30"),
        ("[H][H]", "0 heavy atoms, allowed 2 to 30"),
        ("C" * 31, "31 heavy atoms, allowed 2 to 30"),
    ],
)
def test_invalid_molecules_are_refused(smiles, message, capfd):
    with pytest.raises(InputFileError, match=message) as caught:
        map_smiles(smiles)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_nitro_group_is_neutral():
    assert map_smiles("C[N+](=O)[O-]").graph == "Na"


def test_mapping_picture():
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(mapping_png(map_smiles("CC(=O)Nc1ccc(O)cc1"))))
    assert pixels.shape[:2] == (400, 600)
    assert len(np.unique(pixels[..., :3].reshape(-1, 3).round(1), axis=0)) > 8


def main():
    run_app(permeation, sys.argv[1:])


def test_map_command(call, tmp_path):
    picture = tmp_path / "new" / "map.png"
    found = call(main, "map", "--smiles", "CC(=O)Nc1ccc(O)cc1", "-o", picture)
    assert found.status == 0, found.err
    assert "Nda-C5-P5" in found.out and "published" in found.out and "CC(N)=O" in found.out
    assert "logP: 0.96 ± 0.33 estimated, 0.09 as beads" in found.out
    given = call(main, "map", "--smiles", "CCCO", "--log-p", "0.25", "-o", picture)
    assert "logP: 0.25 given, -0.40 as beads" in given.out
    assert picture.stat().st_size > 1000


def test_brackets_of_smiles_are_printed(call, tmp_path):
    """The terminal must not interpret them as markup."""
    found = call(main, "map", "--smiles", "CCc1ccc[nH]1", "-o", tmp_path / "map.png")
    assert "[nH]" in found.out.splitlines()[0]
    assert found.out.count("[nH]") > 1


def test_map_command_with_invalid_input(call, tmp_path):
    picture = tmp_path / "map.png"
    found = call(main, "map", "--smiles", "CC(=O)[O-]", "-o", picture)
    found.assert_one_line_error("charge of -1", "neutral form")
    assert not picture.exists()
    folder = tmp_path / "folder.png"
    folder.mkdir()
    (tmp_path / "file").touch()
    for path, words in (
        (folder, "cannot be written (Is a directory)"),
        (tmp_path / "file" / "map.png", "cannot be written"),
        (tmp_path / "map.pdf", "ends in '.pdf', expected .png"),
    ):
        call(main, "map", "--smiles", "CCO", "-o", path).assert_one_line_error(words)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", folder]
