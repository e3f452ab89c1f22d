"""The choice of a device, and what it costs where there is no GPU."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from nnpmm.models import devices
from nnpmm.models.devices import choose_device

EVALUATE = """
import sys
import numpy as np
from nnpmm import load_model
water = load_model("ANI-1x", device="cpu").bind(np.array([8, 1, 1]))
water(np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]]))
assert "torch" not in sys.modules
"""


def test_networks_on_a_cpu_do_not_import_torch():
    """Importing torch takes longer than everything else together."""
    done = subprocess.run([sys.executable, "-c", EVALUATE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("driver", [False, True])
def test_torch_is_asked_only_where_a_driver_is_installed(monkeypatch, driver):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(devices, "_driver_is_installed", lambda: driver)
    if driver:
        cuda = SimpleNamespace(is_available=lambda: True)
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert choose_device("auto") == ("cuda" if driver else "cpu")
    assert ("torch" in sys.modules) == driver


@pytest.mark.parametrize(
    ("version", "libraries", "expected"),
    [("2.13.0", (), False), ("2.13.0", ("libcuda.so.1",), True), ("2.13.0+rocm7.0", (), True)],
)
def test_drivers(monkeypatch, version, libraries, expected):
    def load(name):
        if name not in libraries:
            raise OSError(name)

    monkeypatch.setattr(devices.sys, "platform", "linux")
    monkeypatch.setattr(devices.metadata, "version", lambda _: version)
    monkeypatch.setattr(devices.ctypes, "CDLL", load)
    assert devices._driver_is_installed() is expected
