"""numba's cache on disk: damaged files are replaced, and the cpu backend works without a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A small function, because the cpu backend needs half a minute to compile.
PROGRAM = """
import logging, sys
logging.basicConfig(level="WARNING")
sys.path.insert(0, sys.argv[1])
from keeper import double
from nnpmm.models.cpu.compilation import keep_on_disk
keep_on_disk(double)
print(double(21), sum(double.stats.cache_hits.values()))
"""
MODULE = """
import numba
@numba.njit
def double(x):
    return 2 * x
"""


def _run(folder: Path, **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "keeper.py").write_text(MODULE)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*double*.nbi", "*double*.nbc"])
@pytest.mark.parametrize("damage", [b"", b"half"])
def test_damaged_files_are_compiled_again(folder, pattern, damage):
    cache = folder / "cache"
    assert _run(folder, NUMBA_CACHE_DIR=str(cache))[0] == "42 0"
    (path,) = cache.rglob(pattern)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage == b"half" else damage)
    output, errors = _run(folder, NUMBA_CACHE_DIR=str(cache))
    assert output == "42 0"
    assert errors.count("compiled again") == 1
    assert len(errors.splitlines()) < 4
    assert _run(folder, NUMBA_CACHE_DIR=str(cache)) == ("42 1", "")


def test_code_is_compiled_in_memory_without_a_cache_folder(folder):
    """numba finds no folder: neither that of the source, nor one of the user's."""
    (folder / "file").touch()
    program = PROGRAM.replace("import logging", "import numba.core.caching as c, logging").replace(
        "from nnpmm", "c.CacheImpl._locator_classes = []\nfrom nnpmm"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "42 0", done.stderr
    assert done.stderr.count("set NUMBA_CACHE_DIR") == 1
