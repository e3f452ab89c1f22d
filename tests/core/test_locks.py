"""Lock files: a second holder is refused, and no link is followed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.core.files import UnwritableError
from nnpmm.core.locks import is_locked, locked

pytest.importorskip("fcntl")


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path):
    with locked(tmp_path / "lock", "in use"), pytest.raises(ConfigError, match="in use"):
        with locked(tmp_path / "lock", "in use"):
            pass
    with locked(tmp_path / "lock", "in use"):
        pass


def test_a_link_is_not_followed_and_content_is_kept(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (tmp_path / "lock").symlink_to(precious)
    with pytest.raises(ConfigError, match=r"lock: cannot be opened \(it is a symbolic link\)"):
        with locked(tmp_path / "lock", "in use"):
            pass
    (tmp_path / "lock").unlink()
    os.link(precious, tmp_path / "lock")
    with locked(tmp_path / "lock", "in use"):
        pass
    assert precious.read_text() == "mine"


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "lock").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be opened"), locked(tmp_path / "lock", ""):
        pass
    with pytest.raises(UnwritableError, match="cannot be written"):
        with locked(tmp_path / "file" / "lock", ""):
            pass


def test_the_folder_of_a_lock_is_made(tmp_path):
    with locked(tmp_path / "a" / "b" / "lock", "in use"):
        assert (tmp_path / "a" / "b" / "lock").is_file()


def test_asking_for_a_lock_takes_and_makes_nothing(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path) and not path.exists()
    with locked(path, "in use"):
        assert is_locked(path)
    assert not is_locked(path)
    with locked(path, "in use"):
        pass


ASKING = """
import sys, time
from pathlib import Path
from nnpmm.core import is_locked
path, end = Path(sys.argv[1]), time.monotonic() + 1.0
print(is_locked(path), flush=True)
print(any([is_locked(path) for _ in iter(lambda: time.monotonic() < end, False)]))
"""


def test_processes_that_ask_keep_nobody_out_and_do_not_see_each_other(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    arguments = [sys.executable, "-c", ASKING, str(path)]
    askers = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [asker.stdout.readline() for asker in askers] == ["False\n"] * 2
    assert [asker.communicate()[0] for asker in askers] == ["False\n"] * 2
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as asker:
        asker.stdout.readline()
        for _ in range(300):
            with locked(path, "in use"):
                pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_lets_go(tmp_path, number):
    code = "import sys, time; from pathlib import Path; from nnpmm.core import locked\n"
    code += "with locked(Path(sys.argv[1]), ''):\n print('here', flush=True); time.sleep(60)"
    path = tmp_path / "lock"
    arguments = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "here\n"
        with pytest.raises(ConfigError, match="in use"), locked(path, "in use"):
            pass
        holder.send_signal(number)
    with locked(path, "in use"):
        pass


def test_windows_locks_by_its_own_call(tmp_path, monkeypatch):
    """Without fcntl, the first byte of the file is locked, and a refusal is the same error."""
    held = []

    def locking(descriptor, mode, size):
        if held:
            raise OSError(errno.EACCES, "locked")
        held.append((mode, size))

    monkeypatch.setitem(sys.modules, "fcntl", None)
    windows = SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with locked(tmp_path / "lock", "in use"):
        assert held == [(2, 1)]
        with pytest.raises(ConfigError, match="in use"), locked(tmp_path / "lock", "in use"):
            pass
