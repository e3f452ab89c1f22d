"""Whether the kernels can run here; imports neither triton nor the kernels."""

from __future__ import annotations

import importlib.util
import os

__all__ = ["interpreted", "missing"]


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on the CPU and for checks only."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def missing() -> str | None:
    """Return what to do about it if the backend cannot run on a GPU here, else None."""
    import torch

    if not torch.cuda.is_available():
        return "it needs a CUDA device, and torch sees none; use backend='cpu'"
    if importlib.util.find_spec("triton") is None:
        return "pip install triton, in the version that the CUDA build of torch names"
    if interpreted():
        return "unset TRITON_INTERPRET, with which Triton runs its kernels on the CPU"
    return None
