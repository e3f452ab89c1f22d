"""Scans on disk: finished scans by their content, and unfinished chains that can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.arrays import load_keyed, save_arrays
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.scan import Chains, TorsionScan

__all__ = ["ScanFile", "scan_key"]


def scan_key(
    provenance: Any,
    numbers: Sequence[int],
    positions: NDArray[np.float64],
    bonds: Sequence[RotatableBond],
    spacing: float,
) -> str:
    """Return a digest of everything that determines a scan.

    Args:
        provenance: of the potential, as JSON.
        numbers: atomic numbers, (n,).
        positions: nm, of any shape, from which it starts.
        bonds: that are scanned.
        spacing: of the angles, degrees.
    """
    content = json.dumps(
        [provenance, [int(number) for number in numbers], [b.torsion for b in bonds], spacing],
        sort_keys=True,
    )
    rounded = np.round(np.asarray(positions, dtype=np.float64), 7) + 0.0
    return hashlib.sha256(content.encode() + rounded.tobytes()).hexdigest()


class ScanFile:
    """The file of a finished scan, and that of its chains until it is finished.

    Args:
        folder: of the scans.
        name: of the potential.
        key: from `scan_key`; files with another key are ignored.
    """

    def __init__(self, folder: Path, name: str, key: str) -> None:
        safe = "".join(c if c.isalnum() or c in "-." else "-" for c in Path(name).name)
        self._key = key
        self._path = folder / f"{safe}-{key[:8]}.safetensors"
        self._chains = folder / f"{safe}-{key[:8]}.chains.safetensors"

    def load(self, bonds: Sequence[RotatableBond]) -> TorsionScan | None:
        """Return the finished scan, or None."""
        found = load_keyed(self._path, self._key)
        if found is None:
            return None
        arrays, record = found
        return TorsionScan(
            bonds=tuple(bonds),
            angles=arrays["angles"],
            energies=arrays["energies"],
            positions=arrays["positions"],
            hysteresis=arrays["hysteresis"],
            evaluations=int(record["evaluations"]),
        )

    def save(self, scan: TorsionScan) -> None:
        """Write a finished scan and remove its chains.

        Raises:
            UnwritableError: the file cannot be written.
        """
        arrays = {name: getattr(scan, name) for name in ("angles", "energies", "positions")}
        record = {"key": self._key, "evaluations": scan.evaluations}
        save_arrays(self._path, {**arrays, "hysteresis": scan.hysteresis}, record)
        with suppress(OSError):
            self._chains.unlink()

    def load_chains(self) -> Chains | None:
        """Return the chains of an unfinished scan, or None."""
        found = load_keyed(self._chains, self._key)
        if found is None:
            return None
        arrays, record = found
        return Chains(**arrays, done=int(record["done"]), evaluations=int(record["evaluations"]))

    def save_chains(self, chains: Chains) -> None:
        """Write the chains of an unfinished scan.

        Raises:
            UnwritableError: the file cannot be written.
        """
        arrays = {name: getattr(chains, name) for name in ("minimum", "positions", "energies")}
        record = {"key": self._key, "done": chains.done, "evaluations": chains.evaluations}
        save_arrays(self._chains, arrays, record)
