"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from nnpmm.core import UnwritableError, cache_directory, replacing, require_folder, write_atomically
from nnpmm.core.arrays import load_arrays, load_record, save_arrays
from nnpmm.core.errors import InputFileError


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_atomically(path, "first")
    with replacing(path) as handle:
        handle.write(b"second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, call, reason):
    path = tmp_path / "file.txt"
    write_atomically(path, "before")

    def fail(*_):
        raise reason

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises((UnwritableError, KeyboardInterrupt)) as caught:
            write_atomically(path, "after")
    if isinstance(reason, OSError):
        assert "file.txt: cannot be written (No space left on device)" in str(caught.value)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file.txt"]


def test_a_fixed_name_takes_the_place_of_what_a_killed_process_left(tmp_path):
    left, precious = tmp_path / "left.tmp", tmp_path / "precious"
    precious.write_text("mine")
    left.symlink_to(precious)
    with replacing(tmp_path / "file", temporary=left) as handle:
        handle.write(b"new")
    assert precious.read_text() == "mine" and (tmp_path / "file").read_bytes() == b"new"
    assert not left.is_symlink() and not left.exists()


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for call in (lambda p: write_atomically(p / "x", ""), require_folder):
        with pytest.raises(UnwritableError, match=r"cannot be written .* choose another place"):
            call(tmp_path / "file")


def test_the_folder_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own"
    monkeypatch.delenv("NNPMM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "nnpmm"


def test_arrays_and_their_record(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"x": np.arange(6.0).reshape(2, 3).T}, {"unit": "nm"})
    arrays, record = load_arrays(path)
    np.testing.assert_array_equal(arrays["x"], np.arange(6.0).reshape(2, 3).T)
    assert record == load_record(path) == {"unit": "nm"}
    whole = path.read_bytes()
    other = tmp_path / "other"
    save_file({"x": np.zeros(2)}, other, metadata={"nnpmm": "3"})
    for damaged in (whole[:20], other.read_bytes()):
        path.write_bytes(damaged)
        for load in (load_arrays, load_record):
            with pytest.raises(InputFileError, match=r"a\.safetensors: cannot be read .* delete"):
                load(path)
