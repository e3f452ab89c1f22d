"""Whether the kernels can run here; imports neither triton nor the kernels."""

from __future__ import annotations

import importlib.util
import os

from nnpmm.core.errors import ModelError
from nnpmm.models.cuda.device import missing as missing_device

__all__ = ["interpreted", "missing", "require_device"]


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels on the CPU, which is for tests only."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def missing() -> str | None:
    """Return what to do if the backend cannot run on a GPU here, else None."""
    if (remedy := missing_device()) is not None:
        return remedy
    if importlib.util.find_spec("triton") is None:
        return "pip install triton, in the version that the CUDA build of torch names"
    if interpreted():
        return "unset TRITON_INTERPRET, with which Triton runs its kernels on the CPU"
    return None


def require_device(device: str) -> None:
    """Check that the kernels can run on a torch device in this process.

    Raises:
        ModelError: the device is a CPU, or a GPU while Triton's interpreter is active.
    """
    if device.startswith("cuda") == interpreted():
        needed = "'cpu' under TRITON_INTERPRET=1" if interpreted() else "'cuda'"
        raise ModelError(
            f"found the device {device!r}, the backend 'triton' needs {needed}; "
            "choose that or another backend"
        )
