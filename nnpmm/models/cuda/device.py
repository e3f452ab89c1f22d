"""Whether torch sees a GPU, its memory, and what its matrix products round to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nnpmm.core.errors import SimulationError

__all__ = ["full_precision", "missing", "on_device"]


def missing() -> str | None:
    """Return what to do about it if torch sees no CUDA device, else None."""
    import torch

    if not torch.cuda.is_available():
        return "it needs a CUDA device, and torch sees none; use backend='cpu'"
    return None


@contextmanager
def on_device(device: str, what: str) -> Iterator[None]:
    """Use a GPU as torch's current one; on ``"cpu"`` do nothing.

    Args:
        device: of torch.
        what: what is evaluated, for the message.

    Raises:
        SimulationError: the GPU has not enough memory.
    """
    import torch

    if device == "cpu":
        yield
        return
    try:
        with torch.cuda.device(device):
            yield
    except torch.cuda.OutOfMemoryError as error:
        free, total = torch.cuda.mem_get_info(device)
        raise SimulationError(
            f"found {free / 2**30:.1f} of {total / 2**30:.1f} GiB free on {device}, too "
            f"little for {what}; evaluate fewer atoms or members, free the "
            "GPU, or use device='cpu' with another backend"
        ) from error


@contextmanager
def full_precision() -> Iterator[None]:
    """Let torch's float32 matrix products keep all their digits, whatever the user has allowed.

    TensorFloat-32 has ten bits: energies would be off by many kJ/mol.
    """
    import torch

    matmul = torch.backends.cuda.matmul
    # torch 2.9 gave the setting a new name, and refuses to read the old one after the new is set.
    renamed = hasattr(matmul, "fp32_precision")
    name, value = ("fp32_precision", "ieee") if renamed else ("allow_tf32", False)
    before = getattr(matmul, name)
    setattr(matmul, name, value)
    try:
        yield
    finally:
        setattr(matmul, name, before)
