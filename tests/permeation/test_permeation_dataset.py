"""Campaigns: resuming, locks and failures. Most tests replace the simulations."""

import json

import numpy as np
import pytest
from dataset_cases import TINY, replace_simulations, tiny_settings
from martini_cases import needs_gmx

from nnpmm.campaigns import ClusterSettings
from nnpmm.core.arrays import load_arrays
from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError, SimulationError
from nnpmm.permeation.dataset.folder import (
    SoluteJob,
    export_features,
    load_features,
    open_dataset,
    read_settings,
    require_buildable,
)
from nnpmm.permeation.features import FeatureTable
from nnpmm.permeation.martini.engines import StageResult
from nnpmm.permeation.martini.solute_sets import list_solutes, trimers
from nnpmm.permeation.runs import campaign, jobs
from nnpmm.permeation.runs.checks import check_membrane_run, check_temperature
from nnpmm.permeation.runs.status import dataset_status

SERIAL = ClusterSettings(kind="serial")


@pytest.fixture
def toy_runs(monkeypatch):
    """Replace simulations. Returns a list of (job, attempt) that fail, and one of calls."""
    failing, seen = [], []

    def value(job, seed):
        attempt = sum(name == job.name for name, _ in seen)
        seen.append((job.name, seed))
        if (job.name, attempt) in failing:
            raise SimulationError("the solute leaked: 1.2 nm")
        return float(len(seen))

    replace_simulations(monkeypatch, value)
    return failing, seen


def test_interrupted_campaign_resumes(toy_runs, tmp_path):
    _, seen = toy_runs
    settings = open_dataset(tmp_path, tiny_settings())

    def stop(report, n, total):
        if n == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign.build_dataset(settings, tmp_path, cluster=SERIAL, report=stop)
    result = campaign.build_dataset(settings, tmp_path, cluster=SERIAL)
    assert (result.already, result.done, result.failed) == (3, 1, ())
    names = [name for name, _ in seen]
    assert sorted(names) == ["DOPC/C1", "DOPC/P4", "water/C1", "water/P4"]
    assert len({seed for _, seed in seen}) == 4
    assert campaign.build_dataset(settings, tmp_path, cluster=SERIAL).already == 4
    features = load_features(tmp_path)
    assert features.features.shape == (2, 2, 8) and features.features.dtype == np.float32
    assert features.solutes == ("C1", "P4") and features.lipids == ("DOPC", "DOPC")
    order = [names.index(f"{place}/P4") + 1 for place in ("water", "DOPC")]
    np.testing.assert_array_equal(features.features[1, 0], np.repeat(order, 4))
    assert export_features(tmp_path, tmp_path / "all.safetensors") == 2
    arrays, record = load_arrays(tmp_path / "all.safetensors")
    np.testing.assert_array_equal(arrays["features"], features.features)
    assert record["features"][0]["name"] == "bondener"


def test_solutes_are_simulated_in_random_order(toy_runs, tmp_path):
    """So a part of a data set is a fair sample. The two runs of a solute follow each other."""
    _, seen = toy_runs
    names = list_solutes("dimers")
    settings = open_dataset(tmp_path, tiny_settings(solutes=names))
    campaign.build_dataset(settings, tmp_path, cluster=SERIAL)
    order = [name.partition("/")[2] for name, _ in seen]
    assert order[::2] == order[1::2] and sorted(order[::2]) == sorted(names)
    assert len([name for name in order[:60] if name.startswith("C1-")]) < 15


def test_failures_are_retried_once_and_listed(toy_runs, tmp_path):
    failing, seen = toy_runs
    failing += [("DOPC/C1", 0), ("DOPC/P4", 0), ("DOPC/P4", 1)]
    settings = open_dataset(tmp_path, tiny_settings())
    result = campaign.build_dataset(settings, tmp_path, cluster=SERIAL)
    assert result.done == 3
    (failed,) = result.failed
    assert failed.name == "DOPC/P4" and len(failed.reasons) == 2
    seeds = [seed for name, seed in seen if name == "DOPC/P4"]
    assert len(set(seeds)) == 2
    assert load_arrays(SoluteJob("DOPC", "C1").result(tmp_path))[1]["attempts"] == [
        f"seed {dict(seen[:2])['DOPC/C1']}: the solute leaked: 1.2 nm"
    ]
    places, failures = dataset_status(tmp_path)
    assert [(p.place, p.counts.done, p.counts.failed, p.counts.retried) for p in places] == [
        ("water", 2, 0, 0),
        ("DOPC", 1, 1, 1),
    ]
    assert [p.simulated_ns for p in places] == pytest.approx([2 * 0.09, 0.09])
    assert "leaked" in failures["DOPC/P4"]
    assert load_features(tmp_path).solutes == ("C1",)
    # It is not tried again unless asked for.
    second = campaign.build_dataset(settings, tmp_path, cluster=SERIAL)
    assert (second.already, second.given_up, second.done, second.failed) == (3, 1, 0, ())
    again = campaign.build_dataset(settings, tmp_path, cluster=SERIAL, retry_failed=True)
    assert again.done == 1 and not dataset_status(tmp_path)[1]
    (tmp_path / "DOPC" / "P4.safetensors").unlink()
    SoluteJob("DOPC", "P4").failure(tmp_path).write_text("{}")
    with pytest.raises(InputFileError, match=r"P4\.json: cannot be read .* delete it"):
        dataset_status(tmp_path)


def test_data_set_can_grow_but_not_change(tmp_path):
    open_dataset(tmp_path, tiny_settings())
    grown = open_dataset(tmp_path, tiny_settings(lipids=["DPPC"], solutes=["N0"]))
    assert grown.lipids == ("DOPC", "DPPC") and grown.solutes == ("C1", "P4", "N0")
    assert read_settings(tmp_path) == grown
    other = TINY.model_copy(update={"temperature": 310.0})
    with pytest.raises(ConfigError, match=r"another protocol \(temperature: 300.0 there, 310.0\)"):
        open_dataset(tmp_path, tiny_settings(protocol=other))
    with pytest.raises(ForceFieldError, match="known lipids"):
        require_buildable(tiny_settings(lipids=["XXXX"]))


def test_second_campaign_in_the_folder_is_refused(toy_runs, tmp_path):
    """The second one changes nothing, not even the settings of the data set."""
    settings = open_dataset(tmp_path, tiny_settings())
    refused = []

    def second(report, n, total):
        with pytest.raises(ConfigError, match="another process is building this data set"):
            campaign.build_dataset(tiny_settings(lipids=["DPPC"]), tmp_path, cluster=SERIAL)
        refused.append(read_settings(tmp_path).lipids)

    campaign.build_dataset(settings, tmp_path, cluster=SERIAL, report=second)
    assert refused == [("DOPC",)] * 4


def test_refused_data_set_leaves_no_folder(toy_runs, tmp_path):
    with pytest.raises(ForceFieldError, match="known lipids"):
        campaign.build_dataset(tiny_settings(lipids=["XXXX"]), tmp_path / "new", cluster=SERIAL)
    assert not (tmp_path / "new").exists()


def test_campaign_does_not_delete_files_of_labels(toy_runs, tmp_path):
    other = tmp_path / "scratch-labels" / "direct" / "state-05.safetensors"
    other.parent.mkdir(parents=True)
    other.write_text("hours of work")
    campaign.build_dataset(tiny_settings(), tmp_path, cluster=SERIAL)
    assert other.exists()


def test_failing_jobs_do_not_stop_the_others(toy_runs, tmp_path, monkeypatch):
    simulate = jobs._simulate

    def sometimes(job, *rest):
        if job.solute == "P4":
            raise ValueError("all the input array dimensions must match")
        return simulate(job, *rest)

    monkeypatch.setattr(jobs, "_simulate", sometimes)
    result = campaign.build_dataset(tiny_settings(), tmp_path, cluster=SERIAL)
    assert result.done == 2 and {report.name for report in result.failed} == {"water/P4", "DOPC/P4"}
    record = json.loads(SoluteJob("water", "P4").failure(tmp_path).read_text())
    assert "Traceback" in record["traceback"] and "array dimensions" in record["attempts"][1]


def test_leaks_and_instabilities_are_detected():
    def table(height=0.0, area=0.65):
        values = np.full((3, 4), area, dtype=np.float32)
        heights = np.array([0.0, height, 0.01], dtype=np.float32)
        return FeatureTable(values, values, values, heights)

    check_membrane_run(table(), TINY)
    with pytest.raises(SimulationError, match=r"leaked: 0.90 nm .* in frame 2"):
        check_membrane_run(table(height=0.9), TINY)
    with pytest.raises(SimulationError, match="leaked"):
        check_membrane_run(table(height=np.nan), TINY)
    with pytest.raises(SimulationError, match=r"fell apart: 1.40 nm\^2"):
        check_membrane_run(table(area=1.4), TINY)
    hot = StageResult(None, None, {"temperature": np.array([300.0, 350.0, 340.0])})
    with pytest.raises(SimulationError, match="mean temperature 345 K, asked for 300 K"):
        check_temperature(hot, TINY)


def test_damaged_results_are_named(toy_runs, tmp_path):
    settings = open_dataset(tmp_path, tiny_settings())
    campaign.build_dataset(settings, tmp_path, cluster=SERIAL)
    path = SoluteJob("DOPC", "C1").result(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputFileError, match=r"C1\.safetensors: cannot be read .* delete it"):
        load_features(tmp_path)


def test_lists_of_solutes(tmp_path):
    assert len(list_solutes("dimers")) == 105
    assert list_solutes("monomers")[::13] == ["C1", "P5"]
    assert list_solutes("trimers:50") == trimers(50) != trimers(50, seed=2)
    assert len(set(trimers(1470))) == 1470
    (tmp_path / "s.csv").write_text("name,solute\na,C1-P4\nb,C1-C1-C1+1-3\n")
    assert list_solutes(str(tmp_path / "s.csv")) == ["C1-P4", "C1-C1-C1+1-3"]
    assert list_solutes("C1-P4, N0,P4-C1") == ["C1-P4", "N0"]  # one molecule, read from both ends
    with pytest.raises(ConfigError, match="1 to 1470"):
        list_solutes("trimers:9999")
    with pytest.raises(ForceFieldError, match=r"'dimer'.*allowed: monomers, dimers, trimers:N"):
        list_solutes("dimer")
    with pytest.raises(InputFileError, match="cannot read the list"):
        list_solutes(str(tmp_path / "none.csv"))


@pytest.mark.slow
@needs_gmx
def test_campaign_with_dask_workers(tmp_path, monkeypatch):
    """Two jobs in separate processes give features. The production ends between two frames."""
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    odd = TINY.model_copy(update={"production": 75.0})
    settings = tiny_settings(solutes=["C1-P4"], protocol=odd)
    ended, relaxed = [], []
    result = campaign.build_dataset(
        *(settings, folder),
        scratch=tmp_path / "scratch",
        report=lambda *a: ended.append(a),
        relaxation=lambda *a: relaxed.append((len(ended), *a)),
    )
    assert result.done == 2 and len(ended) == 2, result
    # The worker reports its progress during the relaxation of the bilayer.
    assert {lipid for _, lipid, *_ in relaxed} == {"DOPC"}
    stages = [stage for _, _, stage, *_ in relaxed]
    assert list(dict.fromkeys(stages)) == ["settle", "relax"]
    assert any(0.0 < done < length for *_, done, length in relaxed)
    assert relaxed[-1][1:] == ("DOPC", "relax", 20.0, 20.0) and relaxed[-1][0] < 2
    arrays, record = load_arrays(SoluteJob("DOPC", "C1-P4").result(folder))
    assert arrays["features"].shape == (2, 4) and arrays["features"].dtype == np.float32
    assert [c["name"] for c in record["features"]] == [
        "lj-mol-lip",
        "apl",
        "rmsd-lip",
        "rmsd-mollip",
    ]
    assert arrays["phi"].shape == (2, 2, len(record["channels"]))
    assert record["engine"].startswith("gromacs ") and record["beads"] == ["C1", "P4"]
    assert record["protocol"] == json.loads(json.dumps(odd.model_dump(mode="json")))
    assert load_features(folder).features.shape == (1, 2, 8)
    assert not list((tmp_path / "scratch").iterdir())
