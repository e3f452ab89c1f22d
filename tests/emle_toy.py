"""A made-up EMLE model of the published form, for tests without the published file."""

from __future__ import annotations

import numpy as np
import scipy.io

from nnpmm.models.emle.parameters import ANI_2X_FUNCTIONS

ELEMENTS = ("H", "C", "N", "O", "S")


def toy_arrays() -> dict[str, np.ndarray]:
    """Arrays of a .mat file: 12 references for each element, of which S has 9."""
    rng = np.random.default_rng(11)
    columns = ANI_2X_FUNCTIONS.columns_of(ELEMENTS)
    sulfur_pair = ANI_2X_FUNCTIONS.columns_of(("S",))[16:]
    mask = np.zeros(ANI_2X_FUNCTIONS.aev_length, np.uint8)
    mask[np.setdiff1d(columns, sulfur_pair)] = 1
    references = rng.exponential(size=(5, 12, int(mask.sum()))) ** 2
    references /= np.linalg.norm(references, axis=2, keepdims=True)
    return {
        "ref_aev": references,
        "s_ref": np.array([0.36, 0.49, 0.45, 0.39, 0.57])[:, None] + rng.normal(0, 0.03, (5, 12)),
        "chi_ref": rng.normal(0, 0.1, (5, 12)),
        "n_ref": np.array([[12, 12, 12, 12, 9]]),
        "aev_mask": mask[None],
        "q_core": np.array([[1.0, 4.3, 5.4, 6.4, 7.1]]),
        "k_Z": np.array([[0.9, 0.17, 0.2, 0.19, 0.22]]),
        "a_QEq": np.array([[1.85]]),
        "a_Thole": np.array([[1.37]]),
    }


def write_toy(path, **changes):
    """Write the toy to a file, with some arrays replaced or, if None, left out."""
    arrays = {**toy_arrays(), **changes}
    scipy.io.savemat(path, {name: value for name, value in arrays.items() if value is not None})
    return path
