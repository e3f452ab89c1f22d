"""Shared helpers: where the real systems and network weights for tests are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _shared() -> Path:
    return Path(os.environ.get("NNPMM_TEST_DATA", ROOT.parent / "shared"))


def shared_data(relative: str) -> Path:
    """Return a file or folder of the test data, or skip the test that asks for it."""
    path = _shared() / "data" / relative
    if not path.exists():
        pytest.skip(f"test data {relative} not found (set NNPMM_TEST_DATA to its folder)")
    return path


def model_directory() -> Path:
    """Return the folder with ANI-2x and ANI-1ccx in NeuroChem format, or skip the test."""
    configured = os.environ.get("NNPMM_MODEL_DIR")
    path = Path(configured) if configured else _shared() / "models"
    if not (path / "ani-2x_8x").is_dir():
        pytest.skip("ANI-2x weights not found (set NNPMM_MODEL_DIR to a NeuroChem model folder)")
    return path
