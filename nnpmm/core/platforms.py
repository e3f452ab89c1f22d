"""Which OpenMM platforms work here. An OpenCL device that is a CPU is never used.

OpenMM prefers OpenCL to its own CPU platform. With pocl, OpenCL runs on the CPU: this is slower,
and its kernels have crashed interpreters that had loaded torch or numba. nnpmm therefore runs
nothing on it, even as a test, and asks OpenCL itself for its devices.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass

import openmm

from nnpmm.core.errors import ConfigError

__all__ = [
    "FASTEST_FIRST",
    "OpenclDevice",
    "choose_platform",
    "device_properties",
    "fastest_platform",
    "loaded_platforms",
    "opencl_devices",
    "try_platform",
]

#: Names of OpenMM's platforms.
FASTEST_FIRST = ("CUDA", "HIP", "OpenCL", "CPU", "Reference")
_DEVICE_TYPE, _DEVICE_NAME, _ALL_DEVICES, _CPU = 0x1000, 0x102B, 0xFFFFFFFF, 1 << 1  # CL/cl.h
_MAX_LISTED = 64  # OpenCL platforms, and devices of each


@dataclass(frozen=True)
class OpenclDevice:
    """A device as OpenMM counts it: index of its OpenCL platform, index there, name, and kind."""

    platform: int
    index: int
    name: str
    is_cpu: bool


def fastest_platform() -> openmm.Platform:
    """Return the fastest platform that works here, for ``openmm.app.Simulation`` and contexts.

    Unlike OpenMM's own choice, this leaves out OpenCL devices that are CPUs, such as pocl's, on
    which a process that has loaded a network can crash. If OpenCL also has a GPU, the GPU becomes
    the platform's default device.

    Raises:
        ConfigError: no platform works.
    """
    loaded = loaded_platforms()
    for name in FASTEST_FIRST:
        if name in loaded and try_platform(loaded[name]) is None:
            for key, value in device_properties(name).items():
                loaded[name].setPropertyDefaultValue(key, value)
            return loaded[name]
    raise ConfigError(f"found no platform that works among {', '.join(loaded)}: see nnpmm doctor")


def choose_platform(
    name: str, *, threads: int | None = None, precision: str = "mixed", required: bool = False
) -> tuple[openmm.Platform, dict[str, str]]:
    """Return a platform that works on this machine, and its properties.

    An OpenCL device that is a CPU counts as one that does not work.

    Args:
        name: of the platform, or ``"auto"`` for the fastest that works.
        threads: of the CPU platform; None for its default.
        precision: of the GPU platforms.
        required: a checkpoint is bound to the platform, which the message then says.

    Raises:
        ConfigError: the platform is not available or does not work.
    """
    loaded = loaded_platforms()
    for candidate in loaded if name == "auto" else (name,):
        if candidate not in loaded:
            continue
        problem = try_platform(loaded[candidate])
        if problem is None:
            return loaded[candidate], _properties(candidate, threads, precision)
        if name != "auto":
            raise ConfigError(
                f"platform.name: {candidate} does not work on this machine: {problem}"
            )
    needed = " (the checkpoint is bound to it)" if required else ""
    raise ConfigError(
        f"platform.name: found {name}{needed}, available here: {', '.join(loaded)} "
        "(see nnpmm doctor)"
    )


def _properties(name: str, threads: int | None, precision: str) -> dict[str, str]:
    if name in ("CUDA", "HIP", "OpenCL"):
        return {"Precision": precision, **device_properties(name)}
    if name == "CPU" and threads is not None:
        return {"Threads": str(threads)}
    return {}


def loaded_platforms() -> dict[str, openmm.Platform]:
    """Return OpenMM's platforms by name, the fastest first."""
    found = [openmm.Platform.getPlatform(i) for i in range(openmm.Platform.getNumPlatforms())]
    by_name = {platform.getName(): platform for platform in found}
    known = [name for name in FASTEST_FIRST if name in by_name]
    others = [name for name in by_name if name not in FASTEST_FIRST]
    return {name: by_name[name] for name in [*known, *others]}


def try_platform(platform: openmm.Platform) -> str | None:
    """Return in one line why a platform cannot run two particles here, or None if it can."""
    name = platform.getName()
    devices = opencl_devices() if name == "OpenCL" else []
    if devices and all(device.is_cpu for device in devices):
        return (
            f"its only device is a CPU ({devices[0].name}): not used, it is slower than the CPU "
            "platform and crashes where torch or numba is loaded"
        )
    system = openmm.System()
    bond = openmm.HarmonicBondForce()
    for _ in range(2):
        system.addParticle(1.0)
    bond.addBond(0, 1, 0.1, 1.0)
    system.addForce(bond)
    try:
        integrator = openmm.VerletIntegrator(0.001)
        context = openmm.Context(system, integrator, platform, device_properties(name))
        context.setPositions([[0, 0, 0], [0.1, 0, 0]])
        context.getState(energy=True)
    except openmm.OpenMMException as error:
        return " ".join(str(error).split())
    return None


def device_properties(name: str) -> dict[str, str]:
    """Return the properties that select a device other than a CPU if OpenCL has both kinds."""
    devices = opencl_devices() if name == "OpenCL" else []
    others = [device for device in devices if not device.is_cpu]
    if not others or len(others) == len(devices):
        return {}
    return {"OpenCLPlatformIndex": str(others[0].platform), "DeviceIndex": str(others[0].index)}


def opencl_devices() -> list[OpenclDevice]:
    """Return OpenCL's devices without running anything on them; empty without OpenCL."""
    library = _opencl_library()
    if library is None:
        return []
    platforms = (ctypes.c_void_p * _MAX_LISTED)()
    count = ctypes.c_uint(0)
    if library.clGetPlatformIDs(_MAX_LISTED, platforms, ctypes.byref(count)) != 0:
        return []
    return [
        device
        for number in range(min(count.value, _MAX_LISTED))
        for device in _devices_of(library, number, ctypes.c_void_p(platforms[number]))
    ]


def _devices_of(library: ctypes.CDLL, number: int, platform: ctypes.c_void_p) -> list[OpenclDevice]:
    devices = (ctypes.c_void_p * _MAX_LISTED)()
    count = ctypes.c_uint(0)
    kinds = ctypes.c_uint64(_ALL_DEVICES)
    if library.clGetDeviceIDs(platform, kinds, _MAX_LISTED, devices, ctypes.byref(count)) != 0:
        return []
    result = []
    for index in range(min(count.value, _MAX_LISTED)):
        device = ctypes.c_void_p(devices[index])
        kind, name = ctypes.c_uint64(0), ctypes.create_string_buffer(256)
        library.clGetDeviceInfo(
            device, _DEVICE_TYPE, ctypes.c_size_t(8), ctypes.byref(kind), ctypes.c_void_p(None)
        )
        library.clGetDeviceInfo(
            device, _DEVICE_NAME, ctypes.c_size_t(256), name, ctypes.c_void_p(None)
        )
        text = name.value.decode(errors="replace").strip() or "without a name"
        result.append(OpenclDevice(number, index, text, bool(kind.value & _CPU)))
    return result


def _opencl_library() -> ctypes.CDLL | None:
    for name in ("libOpenCL.so.1", ctypes.util.find_library("OpenCL")):
        if name is not None:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    return None
