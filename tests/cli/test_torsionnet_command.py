"""``nnpmm torsionnet train | evaluate``, its policy as a generator, and the errors of bad input."""

from __future__ import annotations

import json

import pytest
import yaml

from nnpmm.cli.main import main
from nnpmm.conformers.torsionnet import TrainingSettings, load_policy

SETTINGS = {
    "molecules": ["CCCC", "CCCO", "CCCCC"],
    "updates": 2,
    "episodes": 2,
    "steps": 3,
    "policy": {"width": 8, "layers": 1},
}


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "train.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


@pytest.fixture(scope="module")
def trained(settings_file, tmp_path_factory):
    from nnpmm.cli.torsionnet import train

    folder = tmp_path_factory.mktemp("trained") / "policy"
    train(settings_file, output=folder)
    return folder


def test_training_writes_policy_card_and_curve(trained):
    card = json.loads((trained / "policy.json").read_text())
    assert len(card["curve"]) == 2 and card["molecules"] == SETTINGS["molecules"]
    assert (trained / "policy.safetensors").stat().st_size > 1000
    assert (trained / "learning.png").stat().st_size > 1000


def test_command_resumes_and_other_settings_are_refused(call, trained, settings_file):
    answer = call(main, "torsionnet", "train", settings_file, "--updates", 3, "-o", trained)
    assert answer.status == 0 and "3 updates, 3 molecules" in answer.out, answer.err
    answer = call(main, "torsionnet", "train", settings_file, "--seed", 7, "-o", trained)
    assert answer.status == 2
    assert "was started with seed 1, found 7; choose another folder" in answer.err


def test_evaluation_is_written_into_the_card(call, trained):
    answer = call(
        main, "torsionnet", "evaluate", trained, "--smiles", "CCCCO",
        "--count", 6, "--seeds", 2,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    (row,) = load_policy(trained).card.evaluation
    assert row.smiles == "CCCCO" and row.etkdg.mean == pytest.approx(1.0)
    assert f"{row.policy.mean:.2f} ± {row.policy.error:.2f}" in answer.out
    answer = call(main, "torsionnet", "evaluate", trained, "--smiles", "c1ccccc1")
    assert answer.status == 2 and "found no rotatable bond" in answer.err


def test_the_template_has_the_defaults(call):
    answer = call(main, "torsionnet", "train", "--template")
    assert TrainingSettings(**yaml.safe_load(answer.out)) == TrainingSettings()


def test_the_policy_is_a_generator(call, trained, tmp_path):
    answer = call(
        main, "conformers", "--smiles", "CCCO", "--model", "ANI-1x", "--count", 8,
        "--generator", "torsionnet", "--policy", trained, "-o", tmp_path / "found",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    record = json.loads((tmp_path / "found" / "result.json").read_text())
    assert record["counts"]["generated"] == 9  # with the molecule's own


def test_the_monte_carlo_search_is_a_generator(call, tmp_path):
    answer = call(
        main, "conformers", "--smiles", "CCCO", "--model", "ANI-1x", "--count", 12,
        "--generator", "monte-carlo", "-o", tmp_path / "found",
    )  # fmt: skip
    assert answer.status == 0, answer.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--generator", "torsionnet"), "the generator torsionnet needs a policy"),
        (("--policy", "."), "the generator torsionnet needs a policy"),
        (("--generator", "torsionnet", "--policy", "none"), "cannot be read"),
        (("--generator", "best"), "generators"),
    ],
)
def test_mismatched_generators_and_policies_are_refused(call, tmp_path, options, message):
    answer = call(
        main, "conformers", "--smiles", "CCCC", "--model", "ANI-1x", *options,
        "-o", tmp_path / "found",
    )  # fmt: skip
    assert answer.status == 2 and message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"molecules": ["c1ccccc1"]}, "no rotatable bond"),
        ({"steps": 0}, "steps"),
        ({"speed": 3}, "speed"),
        ({"fewest_rotors": 9, "most_rotors": 4}, "found fewest_rotors 9 above most_rotors 4"),
    ],
)
def test_invalid_settings_are_refused(call, tmp_path, changes, message):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    answer = call(main, "torsionnet", "train", path, "-o", tmp_path / "out")
    assert answer.status == 2 and message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
