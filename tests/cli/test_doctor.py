"""nnpmm doctor: its table, and its exit status."""

from __future__ import annotations

import openmm
import pytest
from conftest import call_script

from nnpmm import __version__
from nnpmm.cli.main import main
from nnpmm.diagnosis import diagnose
from nnpmm.models.aimnet import backends as aimnet_backends
from nnpmm.models.aimnet import weights as aimnet_weights
from nnpmm.models.ani import BACKENDS, PUBLISHED, weights
from nnpmm.models.weight_sources import WeightsSource
from nnpmm.structures.ligands import ambertools


@pytest.fixture(autouse=True)
def no_model_directory(monkeypatch):
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)


@pytest.fixture
def no_weights(monkeypatch, clean_sources):
    nowhere = WeightsSource("torchani", None, False, "torchani is not installed")
    monkeypatch.setattr(weights, "_torchani_source", lambda folder: nowhere)
    monkeypatch.setattr(aimnet_weights, "_package_source", lambda file: nowhere)


def test_the_installed_script(tmp_path, torchani_folder):
    result = call_script("nnpmm", "doctor", cwd=tmp_path)
    assert result.status == 0, result
    assert result.err == ""
    squeezed = "".join(result.out.replace("│", "").split())  # long cells are folded
    for word in ("Reference", "CPU", "CUDA", "OpenCL", "openmm", "torch", __version__, *BACKENDS):
        assert word in squeezed
    for name in PUBLISHED:
        assert name in squeezed
    assert list(tmp_path.iterdir()) == []


def test_doctor_prints_a_table(call, torchani_folder):
    result = call(main, "doctor")
    assert result.status == 0
    assert f"torchani: {torchani_folder}" in result.out
    assert "chosen by auto" in result.out
    assert "FAIL" not in result.out
    assert "NNPMM_OFFLINE is set" in result.out  # why ANI-2x is nowhere


def test_backends_of_both_networks():
    found = [(each.group, each.subject) for each in diagnose()]
    for name in BACKENDS:
        assert ("ANI backend", name) in found
    for name in aimnet_backends.BACKENDS:
        assert ("AIMNet2 backend", name) in found


def test_too_many_threads_are_not_started(call, torchani_folder, monkeypatch):
    monkeypatch.setenv("OPENMM_CPU_THREADS", "1000000")
    result = call(main, "doctor")
    assert result.status == 1
    assert "found OPENMM_CPU_THREADS = '1000000', allowed: 1 to" in result.out


def test_missing_weights_are_reported(call, no_weights):
    result = call(main, "doctor")
    assert result.status == 1
    assert "FAIL" in result.out
    assert "no model's weights are on this machine" in result.out


def test_downloadable_weights_count_as_missing(call, no_weights, monkeypatch):
    monkeypatch.setenv("NNPMM_OFFLINE", "0")
    result = call(main, "doctor")
    assert result.status == 1
    assert f"download: {weights.MODEL_ZOO_URL}" in result.out


def test_a_model_directory_that_is_not_there(call, tmp_path, monkeypatch):
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(tmp_path / "none"))
    result = call(main, "doctor")
    assert result.status == 1
    assert "NNPMM_MODEL_DIR: found no folder" in result.out
    assert "Traceback" not in result.err


def test_a_model_directory(monkeypatch, torchani_folder):
    monkeypatch.setenv("NNPMM_MODEL_DIR", str(torchani_folder.parent))
    (found,) = [f for f in diagnose() if f.group == "weights" and f.subject == "ANI-1x"]
    assert found.ok is True
    assert found.detail == f"NNPMM_MODEL_DIR: {torchani_folder}"


def test_a_platform_that_does_not_work_is_explained(monkeypatch):
    monkeypatch.setattr("nnpmm.diagnosis.try_platform", lambda chosen: "it broke")
    found = {f.subject: f for f in diagnose() if f.group == "platform"}
    assert (found["CPU"].ok, found["CPU"].detail) == (False, "it broke")
    assert found["CUDA"].ok is None or found["CUDA"].detail == "it broke"


def test_cuda_without_mps_is_slower(monkeypatch, tmp_path):
    """Another platform replaces CUDA. The check looks for the control pipe of NVIDIA's MPS."""

    def cuda():
        return next(f for f in diagnose() if f.subject == "CUDA")

    platform = openmm.Platform.getPlatformByName("Reference")
    monkeypatch.setattr("nnpmm.diagnosis.loaded_platforms", lambda: {"CUDA": platform})
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert "nvidia-cuda-mps-control -d" in cuda().detail
    (tmp_path / "control").touch()
    assert cuda().detail == "works (with NVIDIA's MPS)"


def test_a_missing_package_is_explained(monkeypatch):
    monkeypatch.setattr("nnpmm.diagnosis.installed_version", lambda name: None)
    found = {f.subject: f for f in diagnose() if f.group == "version"}
    assert found["rdkit"].ok is False
    assert found["nnpops"].ok is None
    assert "conda install" in found["nnpops"].detail


def test_ambertools(monkeypatch):
    def finding():
        return next(f for f in diagnose() if f.subject == "ambertools")

    monkeypatch.setattr(ambertools, "is_installed", lambda: False)
    assert finding().ok is None and "pip install nnpmm[amber]" in finding().detail
    monkeypatch.setattr(ambertools, "is_installed", lambda: True)
    monkeypatch.setattr(ambertools, "_versions", lambda *_: ambertools._Versions("99", "2.9"))
    assert (finding().ok, finding().detail) == (True, "99")


def test_gromacs(monkeypatch, tmp_path):
    def found():
        return next(f for f in diagnose() if f.subject == "gromacs")

    monkeypatch.setenv("PATH", str(tmp_path))
    assert found().ok is None
    assert found().detail.startswith("not found (needed for nnpmm permeation on a CPU: apt install")
    gmx = tmp_path / "gmx"
    gmx.write_text("#!/bin/sh\necho 'GROMACS version:    2099.1'\n")
    gmx.chmod(0o755)
    assert (found().ok, found().detail) == (True, "2099.1")


def test_version(call):
    assert call(main, "--version").out.strip() == f"nnpmm {__version__}"
