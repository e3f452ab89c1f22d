"""An EMLE model read from the .mat file in which its authors publish it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import InputFileError, WeightsError, shortened
from nnpmm.models.emle.parameters import ANI_2X_FUNCTIONS, EmleParameters

__all__ = ["read_parameters"]

#: In the order of the published model.
_ELEMENTS = ("H", "C", "N", "O", "S")
_ARRAYS = (
    *("ref_aev", "s_ref", "chi_ref", "n_ref", "aev_mask", "q_core"),
    *("k_Z", "a_QEq", "a_Thole"),
)


def read_parameters(path: Path) -> EmleParameters:
    """Return the parameters in a file; see `nnpmm.models.emle.load_emle`.

    Args:
        path: a MATLAB file, version 5 or 7, with arrays of numbers alone.

    Raises:
        InputFileError: the file cannot be read.
        WeightsError: it has no such model.
    """
    arrays = _read(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise WeightsError(
            f"{path}: found no {', '.join(missing)}; expected an EMLE model of the kind 'species', "
            "such as emle_qm7_aev_species.mat"
        )
    return _parameters(path, arrays)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of numbers in a file; loadmat runs no code, and objects are left out."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=list(_ARRAYS))
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read: {shortened(error)}") from error
    except Exception as error:  # scipy raises what its reader happens to meet
        raise InputFileError(
            f"{path}: not a MATLAB file of version 5 or 7: {shortened(error)}"
        ) from error
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }


def _parameters(path: Path, arrays: dict[str, NDArray[Any]]) -> EmleParameters:
    n = len(_ELEMENTS)
    counts = arrays["n_ref"].ravel().astype(int)
    mask = arrays["aev_mask"].ravel().astype(bool)
    columns = np.flatnonzero(mask)
    most = arrays["ref_aev"].shape[1] if arrays["ref_aev"].ndim == 3 else 0
    expected = {
        "ref_aev": (n, most, len(columns)),
        "s_ref": (n, most),
        "chi_ref": (n, most),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise WeightsError(
                f"{path}: found {name} of shape {arrays[name].shape}, expected {shape}"
            )
    if len(mask) != ANI_2X_FUNCTIONS.aev_length or len(counts) != n or counts.max() > most:
        raise WeightsError(
            f"{path}: found {len(mask)} symmetry functions and {len(counts)} elements, expected "
            f"those of ANI-2x, {ANI_2X_FUNCTIONS.aev_length}, and {n} ({', '.join(_ELEMENTS)})"
        )
    for name, size in (("q_core", n), ("k_Z", n), ("a_QEq", 1), ("a_Thole", 1)):
        if arrays[name].size != size:
            raise WeightsError(
                f"{path}: found {arrays[name].size} numbers in {name}, expected {size}"
            )
    numbers = {name: arrays[name].astype(np.float64) for name in _ARRAYS}

    def of_references(name: str) -> tuple[NDArray[np.float64], ...]:
        rows = zip(numbers[name], counts, strict=True)
        return tuple(np.ascontiguousarray(row[:count]) for row, count in rows)

    return EmleParameters(
        elements=_ELEMENTS,
        columns=columns,
        references=of_references("ref_aev"),
        widths=of_references("s_ref"),
        electronegativities=of_references("chi_ref"),
        core_charges=numbers["q_core"].ravel(),
        gaussian_scale=float(numbers["a_QEq"].item()),
        thole_scale=float(numbers["a_Thole"].item()),
        polarizability_scales=numbers["k_Z"].ravel(),
    )
