"""What compiled libraries print can be dropped, and only that."""

from __future__ import annotations

import ctypes
import sys

import pytest

from nnpmm.core.streams import silent_libraries


@pytest.mark.skipif(sys.platform == "win32", reason="has no C library under that name")
def test_what_a_library_prints_is_dropped(capfd):
    puts = ctypes.CDLL(None).puts
    with silent_libraries():
        puts(b"within")
    puts(b"behind")
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == "behind\n"
