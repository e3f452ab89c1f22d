"""An OpenCL device that is a CPU is neither chosen nor tried."""

from __future__ import annotations

import openmm
import pytest

import nnpmm
from nnpmm.core import platforms
from nnpmm.core.errors import ConfigError
from nnpmm.core.platforms import OpenclDevice
from nnpmm.diagnosis import diagnose
from nnpmm.simulation import PlatformConfig
from nnpmm.simulation.preparation.platform import choose_platform

POCL = OpenclDevice(0, 0, "pthread-Xeon", is_cpu=True)
GPU = OpenclDevice(1, 2, "a GPU", is_cpu=False)


class _OpenCL:
    """The platform as OpenMM lists it; a context on it would end the interpreter."""

    def __init__(self):
        self.defaults = {}

    def getName(self):
        return "OpenCL"

    def setPropertyDefaultValue(self, name, value):
        self.defaults[name] = value


@pytest.fixture
def opencl(monkeypatch):
    """Install OpenCL with some devices; contexts on it are counted and not made."""
    platform, tried = _OpenCL(), []
    others = platforms.loaded_platforms()
    real = openmm.Context

    def context(system, integrator, chosen, *properties):
        if chosen is platform:
            tried.append(properties)
            chosen = openmm.Platform.getPlatformByName("Reference")
        return real(system, integrator, chosen)

    def install(*devices):
        loaded = {"OpenCL": platform, **{n: others[n] for n in ("CPU", "Reference")}}
        for module in (
            "nnpmm.core.platforms",
            "nnpmm.diagnosis",
        ):
            monkeypatch.setattr(f"{module}.loaded_platforms", lambda: loaded)
        monkeypatch.setattr("nnpmm.core.platforms.opencl_devices", lambda: list(devices))
        monkeypatch.setattr("openmm.Context", context)
        return platform, tried

    return install


@pytest.mark.parametrize("devices", [(POCL,), (POCL, POCL)])
def test_a_cpu_is_never_chosen(opencl, devices):
    _, tried = opencl(*devices)
    assert choose_platform(PlatformConfig())[0].getName() == "CPU"
    assert nnpmm.fastest_platform().getName() == "CPU"
    with pytest.raises(ConfigError, match=r"OpenCL does not work .* is a CPU .pthread-Xeon."):
        choose_platform(PlatformConfig(name="OpenCL"))
    with pytest.raises(ConfigError, match="is a CPU"):
        choose_platform(PlatformConfig(), required="OpenCL")
    assert tried == []


def test_doctor_says_so_without_trying(opencl):
    _, tried = opencl(POCL)
    (finding,) = [f for f in diagnose() if f.subject == "OpenCL"]
    assert finding.ok is None
    assert "CPU (pthread-Xeon)" in finding.detail and "\n" not in finding.detail
    assert tried == []


def test_a_gpu_with_a_cpu_is_named_to_openmm(opencl):
    platform, tried = opencl(POCL, GPU)
    named = {"OpenCLPlatformIndex": "1", "DeviceIndex": "2"}
    chosen, properties = choose_platform(PlatformConfig())
    assert chosen is platform
    assert properties == {"Precision": PlatformConfig().precision, **named}
    assert nnpmm.fastest_platform() is platform
    assert platform.defaults == named
    assert tried == [(named,), (named,)]


def test_gpus_alone_are_openmms_choice(opencl):
    platform, _ = opencl(GPU, GPU)
    chosen, properties = choose_platform(PlatformConfig())
    assert chosen is platform
    assert properties == {"Precision": PlatformConfig().precision}


def test_devices_are_listed_without_opencl(monkeypatch):
    monkeypatch.setattr("nnpmm.core.platforms._opencl_library", lambda: None)
    assert platforms.opencl_devices() == []


def test_the_fastest_platform_works():
    assert platforms.try_platform(nnpmm.fastest_platform()) is None
