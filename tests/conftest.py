"""Shared helpers: where the real systems and network weights for tests are found."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # processes whose threads wait for each other's cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch

if not torch.cuda.is_available():  # read when triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).resolve().parents[1]


TEST_DATA = Path(os.environ.get("NNPMM_TEST_DATA", ROOT.parent / "shared"))
WEIGHTS = Path(os.environ.get("NNPMM_MODEL_DIR") or TEST_DATA / "models")
_running: list[pytest.Item] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Note which test runs, also while the fixtures of its module are set up."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def shared_data(relative: str) -> Path:
    """Return a file or folder of the test data for a test marked ``data``, or skip the test."""
    _require_data_marker()
    path = TEST_DATA / "data" / relative
    if not path.exists():
        pytest.skip(f"test data {relative} not found (set NNPMM_TEST_DATA to its folder)")
    return path


def model_directory() -> Path:
    """Return the folder with ANI-2x and ANI-1ccx for a test marked ``data``, or skip the test."""
    _require_data_marker()
    if not (WEIGHTS / "ani-2x_8x").is_dir():
        pytest.skip("ANI-2x weights not found (set NNPMM_MODEL_DIR to a NeuroChem model folder)")
    return WEIGHTS


def _require_data_marker() -> None:
    if _running[-1].get_closest_marker("data") is None:
        pytest.fail("this test reads test data or weights: mark it with @pytest.mark.data")


def load_with(name: str, backend: str, precision: str = "single", **choices):
    """Load a model with one backend, or skip the test where the backend cannot be had."""
    from nnpmm import load_model
    from nnpmm.models.ani import BACKENDS

    if (remedy := BACKENDS[backend].missing()) is not None:
        pytest.skip(f"{backend} is not installed: {remedy}")
    if precision not in BACKENDS[backend].precisions:
        pytest.skip(f"{backend} has no {precision} precision")
    return load_model(name, backend=backend, precision=precision, **choices)


def load_aimnet(**choices):
    """Load AIMNet2, or skip the test where weights or a GPU that it needs are not there."""
    from nnpmm import load_model
    from nnpmm.models.aimnet.backends import BACKENDS

    backend = BACKENDS.get(choices.get("backend", "auto"))
    if backend is not None and (remedy := backend.missing()) is not None:
        pytest.skip(f"the backend {choices['backend']} cannot be used: {remedy}")
    aimnet_file()
    return load_model("AIMNet2", **choices)


def aimnet_file() -> Path:
    """Return AIMNet2's published TorchScript file in the installed auto3d, or skip the test."""
    from nnpmm.models.aimnet.weights import sources

    (package,) = [source for source in sources("AIMNet2") if source.kind == "auto3d"]
    if not package.available:
        pytest.skip(f"no weights of AIMNet2: {package.detail}")
    return package.path


def distorted(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    """Return atomic numbers and positions (nm) of a molecule off its minimum."""
    from nnpmm.structures import molecule_from_smiles

    molecule = molecule_from_smiles(smiles, seed=7)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    positions = molecule.GetConformer().GetPositions() / 10
    return numbers, positions + np.random.default_rng(5).normal(scale=0.003, size=positions.shape)


def usable_backends() -> list[tuple[str, str]]:
    """Backends that are installed, each with every precision that it has."""
    from nnpmm.models.ani import BACKENDS

    return [
        (name, precision)
        for name, backend in sorted(BACKENDS.items())
        for precision in backend.precisions
        if backend.missing() is None
    ]


@pytest.fixture(scope="session", autouse=True)
def _no_network_and_an_empty_cache(tmp_path_factory):
    """No test downloads anything or sees the user's weights, cached or configured."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each kernel is compiled by one of the processes
        base = base.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NNPMM_MODEL_DIR", raising=False)
        patch.setenv("NNPMM_OFFLINE", "1")
        patch.setenv("NNPMM_CACHE_DIR", str(base / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_flushing_to_disk():
    """Files survive the end of a process without fsync, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _auto_takes_no_ambertools():
    """Tests with parameters of their ligand by ``auto`` take as long as without AmberTools."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnpmm.structures.ligands.ambertools.is_installed", lambda: False)
        yield


@pytest.fixture(scope="session")
def torchani_folder() -> Path:
    """Return the ANI-1x networks in NeuroChem layout that the torchani wheel carries."""
    import importlib.util

    origin = importlib.util.find_spec("torchani").origin
    return Path(origin).parent / "resources" / "ani-1x_8x"


@pytest.fixture(scope="session")
def ani1x():
    """Return the whole ANI-1x ensemble."""
    from nnpmm import load_model

    return load_model("ANI-1x")


@pytest.fixture(scope="session")
def paracetamol():
    """Return paracetamol, twenty atoms of C, H, N and O, as an rdkit molecule."""
    from nnpmm.structures import molecule_from_smiles

    return molecule_from_smiles("CC(=O)Nc1ccc(O)cc1", seed=1)


@pytest.fixture
def empty_report(monkeypatch):
    """Runs write an empty picture as their report, which takes a tenth of the time."""
    from nnpmm.plots.style import create_figure

    monkeypatch.setattr(
        "nnpmm.simulation.report.report_figure", lambda *_, **__: create_figure(1.0, 1.0)
    )


@pytest.fixture
def clean_sources(monkeypatch, tmp_path) -> Path:
    """No settings but an empty cache of this test's own, which is returned."""
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)
    monkeypatch.setenv("NNPMM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NNPMM_OFFLINE", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def tampered(torchani_folder, tmp_path) -> Path:
    """A copy of the ANI-1x folder with one bit of one weight flipped."""
    target = shutil.copytree(torchani_folder, tmp_path / "tampered" / "ani-1x_8x")
    path = target / "train3" / "networks" / "ANN-N.nnf-l2.wparam"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return target


@dataclass(frozen=True)
class CommandResult:
    """What a command gave: exit status, stdout and stderr."""

    status: int
    out: str
    err: str

    def assert_one_line_error(self, *words: str) -> None:
        """Check the convention for bad input: status 2, one line that contains the words."""
        lines = self.err.splitlines()
        assert self.status == 2, self
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in lines[0], f"{word!r} not in {lines[0]!r}"


@pytest.fixture
def call(monkeypatch, capsys):
    """Return a function that runs a command's ``main`` in this process."""

    def run(main, *arguments, columns: int = 300) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        status = 0
        capsys.readouterr()
        level = logging.getLogger("py.warnings").level
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        finally:
            logging.captureWarnings(False)
            logging.getLogger("py.warnings").setLevel(level)
        captured = capsys.readouterr()
        return CommandResult(status, captured.out, captured.err)

    return run


def call_script(name: str, *arguments, cwd: Path) -> CommandResult:
    """Run an installed console script in a process of its own."""
    script = Path(sys.executable).with_name(name)
    done = subprocess.run(
        [script, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)
