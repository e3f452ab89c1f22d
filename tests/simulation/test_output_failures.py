"""Full disks, removed files, unwritable folders: one line, and no loss of data."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from runs import go, require_equal_runs

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.simulation.record import files as _files
from nnpmm.simulation.record.trajectory import open_trajectory
from nnpmm.simulation.stages import staged_run
from nnpmm.simulation.stages.dynamics import StageLoop

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.usefixtures("empty_report")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """An undisturbed run: its folder by format."""
    folders = {fmt: tmp_path_factory.mktemp(f"reference-{fmt}") for fmt in ("dcd", "xtc")}
    for fmt, folder in folders.items():
        go(folder, fmt=fmt)
    return folders


@contextmanager
def longest_file(size):
    """Limit the size of files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def require_one_line(raised, *words):
    text = str(raised.value)
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_full_disk_while_writing_a_frame(tmp_path, reference, fmt):
    limit = (reference[fmt] / f"trajectory.{fmt}").stat().st_size // 2 + 5

    def open_limited(*arguments):
        writer = open_trajectory(*arguments)
        write = writer.write

        def limited(*frame):
            with longest_file(limit):
                write(*frame)

        writer.write = limited
        return writer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staged_run, "open_trajectory", open_limited)
        with pytest.raises(SimulationError) as raised:
            go(tmp_path, fmt=fmt)
    require_one_line(raised, f"trajectory.{fmt}", "free space", "resume=True", "checkpoint is kept")
    go(tmp_path, fmt=fmt, resume=True)
    require_equal_runs(tmp_path, reference[fmt], fmt)


@pytest.mark.parametrize("count", [1, 4, 12, 61, 62, 64, 65, "final.pdb", "report.png"])
def test_full_disk_while_writing_a_file(tmp_path, monkeypatch, reference, count):
    """The disk fills up at various writes, and stays full until the run has ended."""
    calls = [0]

    def full(function):
        def call(*arguments):
            calls[0] += 1
            if calls[0] == count or str(count) in str(arguments[-1]):
                calls[0] = 10**9
            if calls[0] >= 10**9:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(_files.os, name, full(getattr(os, name)))
        with pytest.raises(SimulationError) as raised:
            go(tmp_path)
    assert calls[0] >= 10**9
    require_one_line(raised, str(tmp_path), "No space left on device", "free space", "resume=True")
    assert not list(tmp_path.glob("*.tmp"))
    go(tmp_path, resume=True)
    require_equal_runs(tmp_path, reference["dcd"])
    assert (tmp_path / "report.png").is_file() and (tmp_path / "final.pdb").is_file()


@contextmanager
def small_disk(folder, size):
    """Mount a small file system, if this user may."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
def test_small_disk_that_fills_up(tmp_path, reference, fmt):
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "1000k"):
        filler = disk / "filler"
        filler.write_bytes(bytes(990_000))
        with pytest.raises(SimulationError) as raised:
            go(disk / "run", fmt=fmt)
        require_one_line(raised, str(disk / "run"), "free space")
        filler.unlink()
        go(disk / "run", fmt=fmt, resume=True)
        require_equal_runs(disk / "run", reference[fmt], fmt)


@pytest.mark.parametrize("fmt", ["dcd", "xtc"])
@pytest.mark.parametrize("name", ["log.csv", "trajectory", "folder"])
def test_files_removed_during_the_run(tmp_path, monkeypatch, fmt, name):
    folder = tmp_path / "run"
    removed = folder / {"trajectory": f"trajectory.{fmt}", "folder": "."}.get(name, name)
    original = StageLoop._write_due

    def removing(self):
        if self.stage.name == "production" and self.step >= 30 and removed.exists():
            removed.rename(tmp_path / "moved")
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(StageLoop, "_write_due", removing)
        with pytest.raises(SimulationError) as raised:
            go(folder, fmt=fmt)
    require_one_line(raised, str(folder), "removed or renamed", "put it back", "resume=True")
    (tmp_path / "moved").rename(removed)
    go(folder, fmt=fmt, resume=True)
    whole = tmp_path / "whole"
    go(whole, fmt=fmt)
    require_equal_runs(folder, whole, fmt)


@contextmanager
def read_only(folder):
    """Make a folder read-only, also for root."""
    if os.geteuid():
        folder.chmod(0o555)
    elif subprocess.run(["mount", "--bind", "-o", "ro", folder, folder]).returncode:
        pytest.skip("root cannot mount here")
    try:
        yield
    finally:
        if os.geteuid():
            folder.chmod(0o755)
        else:
            subprocess.run(["umount", folder], check=True)


def test_read_only_folder_at_resume(tmp_path):
    folder = tmp_path / "run"
    go(folder, production="0.02 ps")
    with read_only(folder), pytest.raises((SimulationError, ConfigError)) as raised:
        go(folder, production="0.04 ps", resume=True)
    require_one_line(raised, str(folder), "it can write to")
    go(folder, production="0.04 ps", resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "name", ["checkpoint.json", "provenance.json", "log.csv", "trajectory.dcd", "run.lock"]
)
def test_folder_in_place_of_a_file(tmp_path, name, resume):
    if resume:
        go(tmp_path, production="0.01 ps")
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((SimulationError, ConfigError)) as raised:
        go(tmp_path, production="0.02 ps", resume=resume)
    require_one_line(raised, f"{tmp_path / name}: is a folder", "move it away")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / name / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["run.lock", "settings.yaml.tmp", "checkpoint.json.tmp"])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_links_are_not_followed(tmp_path, name, link):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    link(precious, folder / name)
    if name == "run.lock" and link is os.symlink:
        with pytest.raises(ConfigError) as raised:
            go(folder, production="0.01 ps")
        require_one_line(raised, "run.lock", "is a symbolic link", "delete it")
    else:
        go(folder, production="0.01 ps")
    assert precious.read_text() == "mine"


def test_new_run_replaces_links_in_place_of_output(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    names = ("log.csv", "trajectory.dcd", "topology.pdb", "restraints.npz", "report.png")
    for name in names:
        (folder / name).symlink_to(precious)
    go(folder, production="0.01 ps", fmt="dcd")
    assert precious.read_text() == "mine"
    assert not any((folder / name).is_symlink() for name in names)
    assert Path(folder / "log.csv").stat().st_size > 0


def test_other_os_errors_are_not_reported_as_output_failures(tmp_path, monkeypatch):
    """For example, a network may read files or use a connection."""

    def lost(*_):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(StageLoop, "run", lost)
    with pytest.raises(ConnectionResetError):
        go(tmp_path)


@pytest.mark.parametrize("refused", ["checkpoint", "log.csv", "report.png"])
def test_files_that_cannot_be_removed(tmp_path, monkeypatch, refused):
    """An old checkpoint, an old log, and the report of a run that is resumed."""
    if refused != "log.csv":
        go(tmp_path, production="0.01 ps")
    unlink = Path.unlink

    def call(path, missing_ok=False):
        if path.name.startswith(refused):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", call)
    with pytest.raises(SimulationError) as raised:
        go(tmp_path, production="0.02 ps", resume=True)
    require_one_line(raised, str(tmp_path / refused), "Operation not permitted", "make it writable")
