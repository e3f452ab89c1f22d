"""The device that a network runs on."""

from __future__ import annotations

import ctypes
import sys
from importlib import metadata

from nnpmm.core.errors import ModelError

__all__ = ["choose_device"]


def choose_device(name: str) -> str:
    """Return a torch device name; ``"auto"`` is ``"cuda"`` if torch sees a GPU, else ``"cpu"``.

    Raises:
        ModelError: not a device name, or a GPU that torch does not see.
    """
    if name == "cpu":
        return name
    if name == "auto":
        return "cuda" if _torch_sees_gpu() else "cpu"
    import torch

    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index == "" or index.isdigit()):
        raise ModelError(f"found the device {name!r}, allowed: auto, cpu, cuda, cuda:<index>")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"found the device {name!r}, but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices; use device='cpu' or a CUDA build of torch"
        )
    return name


def _torch_sees_gpu() -> bool:
    # Importing torch takes more than a second, which a machine without a driver can save.
    if "torch" not in sys.modules and not _driver_is_installed():
        return False
    import torch

    return torch.cuda.is_available()


def _driver_is_installed() -> bool:
    """Return whether torch would find the driver of a GPU."""
    if "rocm" in metadata.version("torch"):
        return True  # it comes with libraries of its own
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
