"""Every module of permeation and its dependencies can be imported on Windows."""

from __future__ import annotations

import subprocess
import sys

# Third-party packages are imported first, because they are not tested here.
CODE = """
import builtins, ctypes, importlib, os, pkgutil, signal, sys
import distributed, matplotlib.pyplot, mdtraj, openmm.app, pymbar, pydantic, rdkit.Chem.Draw, rich
import safetensors.torch, scipy.optimize, scipy.stats, torch, typer, yaml

MISSING = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "termios")
found = builtins.__import__


def as_on_windows(name, names=None, *rest):
    if name.split(".")[0] in MISSING and str((names or {}).get("__name__")).startswith("nnpmm"):
        raise ImportError(f"No module named {name!r}")
    return found(name, names, *rest)


class NoNamelessLibrary(ctypes.CDLL):
    def __init__(self, name, *arguments, **options):
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        super().__init__(name, *arguments, **options)


builtins.__import__ = as_on_windows
ctypes.CDLL = NoNamelessLibrary
sys.platform = "win32"
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM", "SIGSTOP"):
    delattr(signal, name)
for name in ("O_NOFOLLOW", "O_CLOEXEC", "fork", "killpg", "setsid", "getuid", "statvfs"):
    delattr(os, name)

import nnpmm.campaigns, nnpmm.core, nnpmm.learning, nnpmm.permeation

count = 0
for package in (nnpmm.core, nnpmm.campaigns, nnpmm.learning, nnpmm.permeation):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
        count += 1
print(count)

from nnpmm.campaigns.processes import end_with_parent, ending_signal

assert end_with_parent() is None and ending_signal(1) is None
"""


def test_permeation_imports_on_windows():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
