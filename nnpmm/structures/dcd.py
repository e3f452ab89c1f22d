"""The layout of DCD files as OpenMM writes them, to truncate them to a number of frames."""

from __future__ import annotations

import struct
from typing import IO

__all__ = ["dcd_problem", "dcd_size", "set_frame_count"]

_FRAMES, _LAST_STEP = 8, 20  # byte offsets of the header's fields
_HEADER = 276  # bytes


def dcd_size(frames: int, n_atoms: int, *, box: bool) -> int:
    """Return the size of a file in bytes."""
    return _HEADER + frames * ((56 if box else 0) + 3 * (4 * n_atoms + 8))


def set_frame_count(handle: IO[bytes], frames: int) -> None:
    """Write the number of frames and the last step, counted in frames from 1, into the header."""
    for offset in (_FRAMES, _LAST_STEP):
        handle.seek(offset)
        handle.write(struct.pack("<i", frames))


def dcd_problem(handle: IO[bytes], size: int, frames: int, n_atoms: int) -> str | None:
    """Return what is wrong with the header or the size of a file that OpenMM wrote, or None.

    Args:
        handle: at the start of the file.
        size: of the file, bytes.
        frames: expected number of frames.
        n_atoms: expected number of atoms in a frame.
    """
    header = handle.read(_HEADER)
    if len(header) < _HEADER:
        return "its header is cut"
    # Fortran records begin and end with their length in bytes.
    marks = [struct.unpack_from("<i", header, at)[0] for at in (0, 88, 92, 260, 264, 272)]
    if header[4:8] != b"CORD" or marks != [84, 84, 164, 164, 4, 4]:
        return "its header is damaged"
    (found,) = struct.unpack_from("<i", header, 268)
    if found != n_atoms:
        return f"its header says {found} atoms, the system has {n_atoms}"
    (boxes,) = struct.unpack_from("<i", header, 48)
    if size != dcd_size(frames, n_atoms, box=bool(boxes)):
        return "its header does not fit its size"
    return None
