"""The CUDA devices that this process may use, according to the driver."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["cuda_devices"]

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def cuda_devices() -> tuple[str, ...]:
    """Return the CUDA devices that this process may use, each as ``CUDA_VISIBLE_DEVICES`` names it.

    They are numbers, or names of devices or of parts of them if that variable contains names. The
    tuple is empty without a driver or a device.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return ()
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = map(str, range(count.value)) if visible is None else visible.split(",")
    return tuple(name.strip() for name in names)[: count.value]
