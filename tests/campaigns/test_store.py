"""Addresses of results, by the content of a job or by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_jobs
from toy_jobs import job

from nnpmm.campaigns import ClusterSettings, Job, Output, Store, by_name, derived_seed
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.section import Section


def other(*, attempt):
    return Output({})


def test_the_key_changes_with_all_that_a_result_depends_on(tmp_path):
    file = tmp_path / "input"
    file.write_text("one")
    base = {"n": 1, "x": [1.5, "a"], "file": file, "settings": ClusterSettings()}
    keys = {
        Job("a", toy_jobs.square, base).key,
        Job("b", toy_jobs.square, base).key,
        Job("a", other, base).key,
        Job("a", toy_jobs.square, base, seed=2).key,
        Job("a", toy_jobs.square, base | {"n": 2}).key,
        Job("a", toy_jobs.square, base | {"settings": ClusterSettings(workers=2)}).key,
    }
    same = Job("a", toy_jobs.square, dict(reversed(base.items())), needs="oven").key
    assert len(keys) == 6 and same in keys
    moved = tmp_path / "moved"
    file.rename(moved)
    assert Job("a", toy_jobs.square, base | {"file": moved}).key == same
    moved.write_text("two")
    assert Job("a", toy_jobs.square, base | {"file": moved}).key not in keys


class Files(Section):
    file: Path
    more: tuple[Path, ...] = ()


def test_files_that_settings_name_are_known_by_their_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for file in (one, two):
        file.write_text("first")

    def key(**files):
        return Job("a", other, {"settings": Files(**files)}).key

    first, both = key(file=one), key(file=one, more=(two,))
    assert first == key(file=two) != both
    two.write_text("second")
    assert first == key(file=one) != key(file=two)
    assert key(file=one, more=(two,)) != both


def test_the_key_is_the_same_in_another_process(tmp_path):
    code = "from toy_jobs import job; print(job(3, 'here', 'fails').key)"
    folder = Path(toy_jobs.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout.strip() == job(3, "here", "fails").key, done.stderr


def test_inputs_that_look_the_same_are_refused(tmp_path):
    with pytest.raises(TypeError, match="found a ndarray among the inputs of a job, allowed: JSON"):
        _ = Job("a", toy_jobs.square, {"x": np.zeros(3)}).key
    with pytest.raises(InputFileError, match=r"none: cannot be read \(No such file"):
        _ = Job("a", toy_jobs.square, {"x": tmp_path / "none"}).key


@pytest.mark.parametrize("name", ["", "/etc/a", "../a", "a/../b", "a//b", "a/", ".", "a\\b", "a\0"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(ConfigError, match="allowed: names like those of files, such as a or a/b"):
        Job(name, other)


@pytest.mark.parametrize("name", ["failed/a", "running", "scratch/x"])
def test_names_of_the_stores_own_folders_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="do not begin with failed, running, scratch"):
        Store(tmp_path, by_name).is_done(Job(name, other))
    assert not Store(tmp_path).is_done(Job(name, other))


def test_results_by_name_and_by_key(tmp_path):
    one, changed = Job("a/b", other), Job("a/b", other, {"n": 2})
    named, keyed = Store(tmp_path / "named", by_name), Store(tmp_path / "keyed")
    for store in (named, keyed):
        store.save(one, Output({"x": np.arange(3)}, {"unit": "nm"}))
        np.testing.assert_array_equal(store.load(one)[0]["x"], [0, 1, 2])
        assert store.record(one) == {"unit": "nm"}
    assert (tmp_path / "named" / "a" / "b.safetensors").exists()
    assert named.is_done(changed) and not keyed.is_done(changed)


def test_damaged_files_are_named(tmp_path):
    store, one = Store(tmp_path, by_name), Job("a", other)
    for load in (store.load, store.record, store.reasons):
        with pytest.raises(
            InputFileError, match=r"a\.(safetensors|json): cannot be read .* delete"
        ):
            load(one)
    store.save_failure(one, ["first", "last"], "Traceback")
    assert store.is_given_up(one) and store.reasons(one) == ("first", "last")
    store.save(one, Output({}))
    assert not store.is_given_up(one) and not (tmp_path / "failed" / "a.json").exists()
    store.save_failure(one, ["late"], "Traceback")  # of a worker that was taken for lost
    assert not store.is_given_up(one)


def test_seeds():
    seeds = {derived_seed(c, n, a) for c in (1, 2) for n in ("a", "b") for a in (0, 1)}
    assert len(seeds) == 8 and all(1 <= seed < 2**31 for seed in seeds)
