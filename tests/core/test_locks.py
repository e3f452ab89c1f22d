"""Lock files: a second holder is refused, and no link is followed."""

from __future__ import annotations

import os

import pytest

from nnpmm.core.locks import locked
from nnpmm.errors import ConfigError
from nnpmm.permeation import files

pytest.importorskip("fcntl")


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path):
    with locked(tmp_path / "lock", "in use"), pytest.raises(ConfigError, match="in use"):
        with locked(tmp_path / "lock", "in use"):
            pass
    with locked(tmp_path / "lock", "in use"):
        pass


@pytest.mark.parametrize("lock", [locked, files.locked])
def test_a_link_is_not_followed_and_content_is_kept(tmp_path, lock):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (tmp_path / "lock").symlink_to(precious)
    with pytest.raises(ConfigError, match=r"lock: cannot be opened \(it is a symbolic link\)"):
        with lock(tmp_path / "lock", "in use"):
            pass
    (tmp_path / "lock").unlink()
    os.link(precious, tmp_path / "lock")
    with lock(tmp_path / "lock", "in use"):
        pass
    assert precious.read_text() == "mine"


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "lock").mkdir()
    for path in (tmp_path / "lock", tmp_path / "none" / "lock"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            with locked(path, "in use"):
                pass
