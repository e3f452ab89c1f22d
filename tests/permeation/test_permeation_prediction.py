"""Predictions: molecules, applicability of the model, runs, reports, and bad input."""

import csv
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from martini_cases import needs_gmx

from nnpmm.campaigns import CampaignResult
from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.permeation.dataset.folder import WATER, SoluteJob, open_dataset
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Restraint
from nnpmm.permeation.networks.regressor import (
    DEFAULT_MODEL,
    Regressor,
    load_default_regressor,
    save_regressor,
)
from nnpmm.permeation.prediction import molecule_from_beads, molecule_from_smiles, predictor
from nnpmm.permeation.prediction.applicability import Verdict, check_features, check_solute
from nnpmm.permeation.prediction.molecules import read_molecules
from nnpmm.permeation.prediction.predictor import predict_features, predict_molecules
from nnpmm.permeation.prediction.trajectories import trajectory_features
from nnpmm.permeation.runs.protocol import preset
from nnpmm.permeation.runs.simulations import run_solute

DATA = ROOT / "data" / "permeation"
TINY = preset(
    "short",
    **{"lipids_per_leaflet": 16, "waters_per_lipid": 6, "bilayer_relaxation": 20},
    **{"nvt": 10, "npt": 20, "production": 90, "frame_interval": 30},
)


def main():
    run_app(permeation, sys.argv[1:])


@pytest.fixture(scope="module")
def model():
    """The shipped model."""
    return load_default_regressor()


def changed(model, **changes):
    """A model whose card has another summary of its data."""
    return _with_card(model, data=model.card.data.model_copy(update=changes))


def _with_card(model, **changes):
    card = model.card.model_copy(update=changes)
    return Regressor(replace(model.ensemble, card=card))


@pytest.fixture
def dimers_only(model):
    """A model whose card says that it was trained on a few dimers in DOPC."""
    return changed(model, train=("DOPC/C1-P4", "DOPC/C1-C5", "DOPC/Nda-P2"), lipids=("DOPC",))


@pytest.fixture
def campaign(monkeypatch):
    """Replace simulations by the results in the data set of the repository."""
    asked = []

    def build(settings, folder, **options):
        settings = open_dataset(folder, settings)
        asked.append((settings, options))
        for job in settings.jobs():
            if job.result(DATA).exists():
                job.result(folder).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(job.result(DATA), job.result(folder))
        return CampaignResult(0, 0, 1, ())

    monkeypatch.setattr(predictor, "build_dataset", build)
    return asked


def test_molecules():
    octanol = molecule_from_smiles("OCCCCCCCC")
    assert (octanol.name, octanol.graph) == ("OCCCCCCCC", "C1-Nda")
    assert octanol.mapping.smiles == "CCCCCCCCO"
    assert molecule_from_beads("P2-C1").graph == "C1-P2"
    assert molecule_from_beads("P4.C1-C2+1-2", "x").graph == "C2-C1-P4"
    assert molecule_from_smiles("CC(=O)O", "a/b c").file_name == "a_b_c"
    assert molecule_from_beads("C1-C2-C3+1-3").file_name == "C1-C2-C3+1-3"


def test_file_of_molecules(tmp_path):
    path = tmp_path / "molecules.csv"
    path.write_text("name,smiles,beads\noctanol,CCCCCCCCO,\nmine,,P4-C1\n")
    assert [(m.name, m.graph) for m in read_molecules(path)] == [
        ("octanol", "C1-Nda"),
        ("mine", "C1-P4"),
    ]
    path.write_text("\ufeff# mine\n\n name , beads\n\na, C1 \n", encoding="utf-8")
    assert [m.graph for m in read_molecules(path)] == ["C1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns none and 0 lines below, expected name and smiles"),
        ("molecule,smiles\na,CC\n", "expected name and smiles"),
        ("name\na\n", "expected name and smiles"),
        ("name,smiles\na,CCO\nb,CC(\n", r"line 3: SMILES 'CC\(': rdkit cannot read"),
        ("name,smiles\na,C[NH3+]\n", r"line 2: .* charge of \+1"),
        ("name,beads\na,C1-Qa\n", "line 2: .* charged Qa"),
        ("name,smiles,beads\na,CCO,P2\n", "line 2: .* give a name and one of the others"),
        ("name,smiles\n,CCO\n", "line 2: found name ''"),
        ("name;smiles\na;CCO\n", "found the columns name;smiles .* separated by commas"),
        ("Name,SMILES\na,CCO\n", "found the columns Name, SMILES .* expected name and smiles"),
        ("name,smiles\n", "and 0 lines below"),
        ("name,smiles\na,CCO,1\n", "line 2: found 3 cells, expected 2"),
        ("name,smiles\na,CCO\nb\n", "line 3: found 1 cells, expected 2"),
        ("name,smiles,name\na,CCO,b\n", "found a column twice"),
        ('name,smiles\n"a,CCO\n', "is not a CSV file"),
        ("name,smiles\na,CCO\n\n,\n# c\nb,CC(\n", "line 6: SMILES"),
        ("name,smiles\na," + "C" * 500 + "\n", r"line 2: SMILES 'C{60}\.\.\. \(500 characters"),
        ("name,beads\na," + "C1-" * 500 + "X\n", r"line 2: solute .*\.\.\. \(1501 characters"),
        ("name,smiles\na b,CCO\na/b,CCC\n", "line 3: found the name 'a/b' again"),
    ],
)
def test_invalid_files_of_molecules_are_refused(tmp_path, text, message):
    path = tmp_path / "molecules.csv"
    path.write_text(text)
    with pytest.raises(InputFileError, match=message) as caught:
        read_molecules(path)
    assert "\n" not in str(caught.value)


def test_long_names_and_wrong_encodings(tmp_path):
    path = tmp_path / "molecules.csv"
    path.write_text("name,beads\n" + "n" * 300 + ",C1\n" + "n" * 299 + "m,C2\n")
    names = [molecule.file_name for molecule in read_molecules(path)]
    assert len(set(names)) == 2 and all(len(name) < 60 for name in names)
    path.write_bytes("name,beads\na,C1\n".encode("utf-16"))
    with pytest.raises(InputFileError, match="is not UTF-8 text; save the table as CSV"):
        read_molecules(path)


@pytest.mark.parametrize(
    ("graph", "lipid", "warnings", "refusals"),
    [
        ("C1-P2", "DOPC", [], []),
        ("P2", "DOPC", ["1 beads: the model was trained on 2"], []),
        ("C1-P4-C1", "DOPC", ["3 beads: the model was trained on 2"], []),
        ("C1-P4-C1-P4", "DOPC", [], ["4 beads: the model was trained on 2, allowed 1 to 3"]),
        ("C1-C1-C1+1-3", "DOPC", ["3 beads", "a ring: the model was trained on chains"], []),
        ("C1-P3", "DOPC", ["beads P3: the model was not trained on them"], []),
        ("C1-P2", "DPPC", [], ["DPPC: the model was trained on DOPC"]),
    ],
)
def test_applicability_of_the_model(dimers_only, graph, lipid, warnings, refusals):
    found = check_solute(dimers_only.card, graph, lipid)
    for reasons, words in ((found.warnings, warnings), (found.refusals, refusals)):
        assert len(reasons) == len(words)
        assert all(word in reason for word, reason in zip(words, reasons, strict=True))
    assert found.level == ("refused" if refusals else "warning" if warnings else "inside")


def test_lipid_without_training_samples_is_refused(dimers_only):
    """The card lists all lipids of the data set, but all samples of one may be test samples."""
    data = dimers_only.card.data.model_copy(update={"lipids": ("DAPC", "DOPC")})
    card = dimers_only.card.model_copy(update={"data": data})
    assert check_solute(card, "C1-P4", "DAPC").refusals == ("DAPC: the model was trained on DOPC",)


def test_branched_graphs_give_a_warning(dimers_only):
    card = dimers_only.card
    wide = card.data.model_copy(update={"train": ("DOPC/C1-C1-C1", "DOPC/P4-P4")})
    found = check_solute(card.model_copy(update={"data": wide}), "C1-C1-C1.C1+2-4", "DOPC")
    assert "a branched graph: the model was trained on chains" in found.warnings


def test_features_outside_the_training_range(model):
    """Only the two features that the model uses are checked."""
    card = model.card
    assert card.network.features == ("lj-mol-wat", "lj-mol-lip")
    (low, _), (high, _) = card.minimum, card.maximum
    inside = np.full((10, 8), np.inf)  # other features do not matter
    inside[:, 1] = (low + high) / 2.0
    inside[:, 4] = (card.minimum[1] + card.maximum[1]) / 2.0
    assert check_features(card, inside).level == "inside"
    inside[::2, 1] = high + 1.0  # single frames may leave the range
    inside[1::2, 1] = low - 1.0
    assert check_features(card, inside).level == "inside"
    near, far = inside.copy(), inside.copy()
    near[:, 1] = low - 0.2 * (high - low)
    far[:, 1] = low - 0.7 * (high - low)
    warned, refused = (check_features(card, table) for table in (near, far))
    assert warned.level == "warning" and "lj-mol-wat is " in warned.warnings[0]
    assert refused.level == "refused" and "in the training" in refused.refusals[0]
    both = refused + Verdict(warnings=("size",))
    assert both.reasons == (*refused.refusals, "size") and both.level == "refused"


def test_predictions_equal_those_of_the_model(model, campaign, tmp_path):
    """Runs have the protocol of the training; refused molecules are not simulated."""
    asked = [molecule_from_beads(graph) for graph in ("P4-C1", "C1-C1-C1-C1-C1-C1", "C1-C1")]
    found = predict_molecules(asked, "DOPC", model, tmp_path / "p", engine="gromacs", seed=7)
    settings, options = campaign[0]
    assert settings.protocol == model.card.data.protocol and settings.seed == 7
    assert settings.solutes == ("C1-P4", "C1-C1") and options["retry_failed"] is False
    assert [p.verdict.level == "refused" for p in found] == [False, True, False]
    assert found[1].free_energy is None and found[1].features is None
    for prediction in (found[0], found[2]):
        name = prediction.molecule.graph
        halves = [load_arrays(DATA / place / f"{name}.safetensors")[0] for place in (WATER, "DOPC")]
        table = np.concatenate([half["features"] for half in halves], axis=1)
        np.testing.assert_array_equal(prediction.features, table)
        energy, error = model.predict_with_error(table[None], beads=np.array([2]))
        assert prediction.free_energy == pytest.approx(energy[0])
        assert prediction.model_error == pytest.approx(error[0]) and error[0] > 0
        assert prediction.error == prediction.model_error  # the beads were given
    assert found[2].free_energy < -5.0 < found[0].free_energy


def test_failed_runs_are_reported(model, campaign, tmp_path):
    molecule = molecule_from_beads("C1-C1-C1")  # which has no runs in the data set
    folder = tmp_path / "p"
    failure = SoluteJob("DOPC", "C1-C1-C1").failure(folder)
    failure.parent.mkdir(parents=True)
    failure.write_text(json.dumps({"attempts": ["seed 1: the solute leaked"]}))
    found = predict_molecules([molecule], "DOPC", model, folder)[0]
    assert found.free_energy is None
    assert "DOPC/C1-C1-C1 failed: seed 1: the solute leaked" in found.verdict.refusals[0]
    failure.unlink()
    found = predict_molecules([molecule], "DOPC", model, folder)[0]
    assert found.verdict.refusals == ("its runs did not end; repeat the call to continue",)


def test_model_without_a_protocol_is_refused(model, tmp_path):
    silent = changed(model, protocol=None)
    with pytest.raises(ConfigError, match="does not say how its training data were simulated"):
        predict_molecules([molecule_from_beads("C1-C1")], "DOPC", silent, tmp_path)


def test_shipped_model_has_the_protocol_of_its_data(model):
    settings = json.loads((DATA / "dataset.json").read_text())
    assert model.card.data.protocol.model_dump(mode="json") == settings["protocol"]


def test_errors_include_the_mapping_error(model, campaign, tmp_path):
    """It is 0.47 units of logP, that is, 0.64 kcal/mol, and zero for given beads."""
    asked = [molecule_from_smiles("CCCCCCCC"), molecule_from_beads("C1-C1")]
    mapped, beads = predict_molecules(asked, "DOPC", model, tmp_path / "p")
    assert mapped.free_energy == beads.free_energy and mapped.model_error == beads.model_error
    assert mapped.error == pytest.approx(np.hypot(beads.error, 0.47 * 5.708 / 4.184), abs=1e-3)
    assert mapped.error > 0.64 > beads.error == beads.model_error


def test_all_outputs_show_the_same_error(call, campaign, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    titles, labels = [], []
    set_title, set_yticks = Axes.set_title, Axes.set_yticks
    monkeypatch.setattr(
        Axes, "set_title", lambda axes, text, **k: [titles.append(text), set_title(axes, text, **k)]
    )
    monkeypatch.setattr(
        Axes,
        "set_yticks",
        lambda axes, ticks, texts=None, **k: [
            labels.append(texts or []),
            set_yticks(axes, ticks, texts, **k),
        ],
    )
    file, out = tmp_path / "molecules.csv", tmp_path / "out"
    file.write_text("name,smiles,beads\noctane,CCCCCCCC,\nmine,,C1-C1\nlong,,C1-C1-C1-C1-C1-C1\n")
    found = call(main, "predict", "--file", file, "-o", out)
    assert found.status == 0, found.err
    records = json.loads((out / "predictions.json").read_text())["predictions"]
    with open(out / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == ["octane", "mine", "long"]
    for record, row, text in zip(records[:2], rows[:2], ("0.64", "-"), strict=True):
        assert float(row["error_kcal"]) == record["error_kcal"]
        parts = [float(row[f"{kind}_error_kcal"]) for kind in ("model", "mapping")]
        assert np.hypot(*parts) == pytest.approx(record["error_kcal"])
        value = f"{record['dg_kcal']:.2f} ± {record['error_kcal']:.2f}"
        (line,) = [line for line in found.out.splitlines() if record["name"] in line][:1]
        cells = [cell.strip() for cell in line.split("│")]
        assert cells[4:7] == [value, f"{parts[0]:.2f}", text]
        assert f"DOPC: ΔG = {value} kcal/mol" in titles
    assert [record["mapping_error_kcal"] for record in records] == [
        pytest.approx(0.641, abs=1e-3),
        0.0,
        None,
    ]
    assert rows[2]["dg_kcal"] == rows[2]["error_kcal"] == "" and "6 beads" in rows[2]["reasons"]
    assert "(model^2 + mapping^2)^(1/2)" in found.out and "0.64 kcal/mol" in found.out
    molecule, beads = ([text.split("± ")[1] for text in texts] for texts in labels if texts)
    errors = [(row["model_error_kcal"], row["error_kcal"]) for row in rows[:2]]
    assert molecule == [f"{float(error):.2f}" for error in errors[0]]
    assert beads == [f"{float(errors[1][0]):.2f}"]  # given beads have no mapping error


def test_command_writes_reports(call, campaign, tmp_path):
    from matplotlib.image import imread

    file, out = tmp_path / "molecules.csv", tmp_path / "out"
    file.write_text("name,smiles,beads\noctane,CCCCCCCC,\nlong,,C1-C1-C1-C1-C1-C1-C1\n")
    found = call(main, "predict", "--file", file, "-o", out)
    assert found.status == 0, found.err
    record = json.loads((out / "predictions.json").read_text())
    octane, long = record["predictions"]
    assert octane["beads"] == "C1-C1" and octane["smiles"] == "CCCCCCCC"
    assert f"{octane['dg_kcal']:.2f} ± {octane['error_kcal']:.2f}" in found.out
    assert octane["fragments"][0] == {"bead": "C1", "atoms": [0, 1, 2, 3], "published": True}
    assert long["dg_kcal"] is None and long["applicability"] == "refused"
    assert "long refused: 7 beads: the model was trained on" in found.out
    assert list(octane["mean_features"]) == list(FEATURE_NAMES)
    for picture in ("octane-DOPC.png", "long-DOPC.png", "octane-mapping.png"):
        assert imread(out / picture).std() > 0.01
    assert not (out / "long-mapping.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["give one of --smiles, --beads and --file"]),
        (["--smiles", "CCO", "--beads", "P2"], ["give one of"]),
        (["--smiles", "CC("], ["'CC('", "rdkit cannot read it"]),
        (["--smiles", "C[NH3+]"], ["charge of +1", "neutral form"]),
        (["--smiles", "CCO.CCO"], ["2 fragments", "expected one molecule"]),
        (["--smiles", "C" * 29], ["C1-C1-C1", "7 beads: the model was trained on", "allowed"]),
        (["--beads", "C1-X"], ["'X'", "known beads"]),
        (["--beads", "C1-Q0"], ["charged Q0", "neutral beads"]),
        (["--beads", "C1-C1", "--lipid", "DSPC"], ["'DSPC'", "known lipids: DPPC, DOPC"]),
        (["--beads", "C1-C1", "--engine", "charmm"], ["'charmm'", "known engines"]),
        (["--file", "none.csv"], ["none.csv", "cannot be read (No such file"]),
        (["--file", "."], ["cannot be read (Is a directory)"]),
        (
            ["--beads", "-".join(["C1"] * 99)],
            ["99 beads: the model was trained on", "(296 characters)"],
        ),
        (["--beads", "C1-C1", "--model", "none"], ["none", "no model.json"]),
        (["--beads", "C1-C1", "--workers", "0"], ["workers", "greater than or equal to 1"]),
        (["--beads", "C1-C1", "--trajectory", "a", "b"], ["neither production.safetensors nor"]),
    ],
)
def test_bad_arguments_give_one_line_and_no_files(call, tmp_path, arguments, words):
    found = call(main, "predict", *arguments, "-o", tmp_path / "out", "--cluster", "serial")
    found.assert_one_line_error(*words)
    assert not (tmp_path / "out").exists()


def test_unwritable_folders_are_refused_before_simulations(call, tmp_path):
    """The error comes before any simulation."""
    file = tmp_path / "file"
    file.touch()
    arguments = ["predict", "--beads", "C1-C1", "--cluster", "serial", "-o"]
    call(main, *arguments, file).assert_one_line_error("cannot be written (Not a directory)")
    call(main, *arguments, tmp_path / "out", "--scratch", file).assert_one_line_error(
        "cannot be written (Not a directory)", "choose another place"
    )


def test_failed_runs_set_the_exit_status(call, campaign, tmp_path):
    """The data set has runs of the first molecule and none of the second."""
    file, out = tmp_path / "molecules.csv", tmp_path / "out"
    file.write_text("name,beads\ndimer,C1-C1\ntrimer,C1-C1-C1\n")
    found = call(main, "predict", "--file", file, "-o", out)
    assert found.status == 1 and (out / "predictions.json").exists()
    assert found.err.strip() == (
        "1 of 2 molecules have no prediction, because their runs failed: trimer"
    )


def test_damaged_models_are_refused(call, tmp_path):
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "model")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-3] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    arguments = ["predict", "--beads", "C1-C1", "--model", folder]
    call(main, *arguments).assert_one_line_error("sha256", "damaged")
    (folder / "model.json").write_text('{"schema_version": 1')
    call(main, *arguments).assert_one_line_error("not a readable model")


def test_model_with_unknown_features_is_refused(model, campaign, tmp_path):
    seen = model.card.network.model_copy(update={"features": ("lj-mol-wat", "gyration")})
    other = _with_card(model, network=seen)
    with pytest.raises(ConfigError, match=r"found the features bondener.* needs gyration too"):
        predict_molecules([molecule_from_beads("C1-C1")], "DOPC", other, tmp_path / "p")


@pytest.fixture(scope="module")
def tiny_runs(tmp_path_factory):
    """Return folders of a run in water and one in a small membrane, and the features of both."""
    folder = tmp_path_factory.mktemp("runs")
    engine = create_engine("gromacs", threads=1)
    run_solute("C1-P4", {}, TINY, engine, folder / "water", seed=5)
    run_solute("C1-P4", {"DOPC": 16}, TINY, engine, folder / "membrane", seed=5)
    return folder


@pytest.mark.slow
@needs_gmx
def test_predictions_from_existing_trajectories(call, model, tiny_runs, tmp_path):
    """The record of nnpmm and the files of GROMACS give the same features."""
    runs = (tiny_runs / "water", tiny_runs / "membrane")
    found = trajectory_features("C1-P4", "DOPC", *runs, TINY)
    assert found.shape == (3, 8) and np.isfinite(found).all()
    assert np.all(found[:, 1] < 0) and np.all((found[:, 5] > 0.4) & (found[:, 5] < 1.0))
    plain = [shutil.copytree(run, tmp_path / run.name) for run in runs]
    for run in plain:
        (run / "production.safetensors").unlink()
    np.testing.assert_allclose(
        trajectory_features("C1-P4", "DOPC", *plain, TINY), found, rtol=1e-6, atol=1e-6
    )
    high = TINY.model_copy(update={"restraint": Restraint(z=1.5)})
    with pytest.raises(SimulationError, match=r"leaked: .* allowed 1.5 ± 0.5 nm"):
        trajectory_features("C1-P4", "DOPC", *runs, high)
    arguments = ["predict", "--beads", "P4-C1", "-o", tmp_path / "out", "--trajectory"]
    done = call(main, *arguments, *runs)
    assert done.status == 0, done.err
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert record["predictions"][0]["frames"] == 3
    call(main, *arguments, *runs[::-1]).assert_one_line_error("run in water first")
    wrong = call(main, "predict", "--beads", "P4-C1-C1", *arguments[3:], *runs)
    wrong.assert_one_line_error("found a run of C1-P4, expected one of C1-C1-P4")
    wrong = call(main, "predict", "--beads", "P4-C1-C1", *arguments[3:], *plain)
    wrong.assert_one_line_error("beads in a frame", "the solute asked for")
    (plain[0] / "production.edr").unlink()
    call(main, *arguments, *plain).assert_one_line_error("found no production.edr")
    (plain[1] / "production.top").write_text("[ molecules ]\nDOPC many\n")
    call(main, *arguments, runs[0], plain[1]).assert_one_line_error("cannot read its [ molecules ]")
    gone = shutil.copytree(runs[1], tmp_path / "gone")
    (gone / "production.trr").unlink()
    call(main, *arguments, runs[0], gone).assert_one_line_error("found no production.trr")


@pytest.mark.slow
@needs_gmx
def test_beads_in_the_order_of_the_run(tiny_runs, tmp_path):
    """A run of P4-C1 has its polar bead first, however the solute is written."""
    runs = [shutil.copytree(tiny_runs / name, tmp_path / name) for name in ("water", "membrane")]
    found = trajectory_features("C1-P4", "DOPC", *runs, TINY)
    for run in runs:
        arrays, record = load_arrays(run / "production.safetensors")
        names = {"C1-P4": "P4-C1"}
        record["molecules"] = [[names.get(name, name), n] for name, n in record["molecules"]]
        save_arrays(run / "production.safetensors", arrays, record)
    turned = trajectory_features("C1-P4", "DOPC", *runs, TINY)
    assert np.all(np.abs(turned - found)[:, [1, 4]] > 0.01)


@pytest.mark.slow
@needs_gmx
def test_from_smiles_to_free_energy(call, model, tmp_path):
    """The command with short simulations; the second call simulates nothing."""
    tiny = changed(model, protocol=TINY)
    save_regressor(tiny, tmp_path / "model")
    arguments = ["predict", "--smiles", "CCCCCCCCO", "--model", tmp_path / "model"]
    arguments += ["-o", tmp_path / "out", "--cluster", "serial", "--engine", "gromacs"]
    found = call(main, *arguments)
    assert found.status == 0, found.err
    assert "[2/2]" in found.out and "C1-Nda" in found.out
    before = (tmp_path / "out" / "predictions.json").read_text()
    again = call(main, *arguments)
    assert "[1/" not in again.out
    assert (tmp_path / "out" / "predictions.json").read_text() == before
    assert not (tmp_path / "out" / "DOPC" / "scratch").exists()
    again = call(main, *arguments, "--seed", "2")
    again.assert_one_line_error("another seed", "choose another folder")


def test_example_file_is_valid():
    found = read_molecules(ROOT / "examples" / "molecules.csv")
    assert [m.graph for m in found] == ["C1-Nda", "C5-C5", "Nda-C5-P5", "C1-P4"]


def test_features_far_outside_the_range_have_no_prediction(model):
    """The result has the reason and the features, but no free energy."""
    low, high = np.array(model.card.minimum), np.array(model.card.maximum)
    features = np.zeros((20, 8), dtype=np.float32)
    features[:, [1, 4]] = low - 0.8 * (high - low)
    found = predict_features(molecule_from_beads("C1-C1"), "DOPC", model, features, Verdict())
    assert found.free_energy is None and found.error is None
    assert len(found.verdict.refusals) == 2 and found.features is features
    near = features.copy()
    near[:, [1, 4]] = low - 0.2 * (high - low)
    warned = predict_features(molecule_from_beads("C1-C1"), "DOPC", model, near, Verdict())
    assert np.isfinite(warned.free_energy) and warned.verdict.level == "warning"
