"""The marker ``data`` stands on the tests that read test data or weights, and on no others."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT, model_directory, shared_data


@pytest.mark.parametrize("read", [lambda: shared_data("toluene"), model_directory])
def test_reading_data_without_the_marker_is_a_failure(read):
    with pytest.raises(pytest.fail.Exception, match=r"mark it with @pytest.mark.data"):
        read()


@pytest.mark.slow
def test_without_data_every_marked_test_is_skipped(tmp_path):
    """A test that runs through does not need the marker."""
    nothing = {"NNPMM_TEST_DATA": str(tmp_path), "NNPMM_MODEL_DIR": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "data", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | nothing,
        timeout=300,
    )
    summary = done.stdout.splitlines()[-1]
    assert re.match(r"\d+ skipped, \d+ deselected", summary), done.stdout
