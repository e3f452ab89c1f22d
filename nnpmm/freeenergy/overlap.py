"""Check that ensembles overlap enough for a free energy between them.

For MBAR's overlap matrix O, with O_ab the probability that a sample of state a is assigned to state
b, Klimovich, Shirts and Mobley (J. Comput. Aided Mol. Des. 2015, 29, 397) advise that neighbours
overlap by 0.03 or more. Here the limit applies to the overlap of two groups A and B of states,

    1/2 sum over a in A, b in B of (O_ab + O_ba),

for the division into two groups with the smallest overlap. In a ladder whose states overlap with
their neighbours only, this is the overlap of the weakest pair. It does not depend on the order of
the states, and it does not decrease if many states are close together and share the samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError

__all__ = [
    "MIN_OVERLAP",
    "MIN_ZWANZIG_OVERLAP",
    "MIN_ZWANZIG_SAMPLES",
    "require_effective_samples",
    "require_overlap",
    "weakest_link",
]

#: Least overlap of two groups of states, from 0 to 0.5 for two identical states.
MIN_OVERLAP = 0.03
#: Least effective number of samples, and its least fraction of all samples, for an average over one
#: ensemble. In benchmarks/reweighting.py, 24 % of the results below these limits deviate by more
#: than three times their error, and 2.8 % of those above.
MIN_ZWANZIG_SAMPLES, MIN_ZWANZIG_OVERLAP = 100.0, 0.1


def require_overlap(
    overlap: NDArray[np.float64],
    counts: NDArray[np.int64],
    *,
    least: float = MIN_OVERLAP,
    names: Sequence[str] | None = None,
) -> None:
    """Refuse states that fall into two groups which overlap too little.

    Args:
        overlap: (K, K) overlap matrix.
        counts: (K,) samples drawn from each state; states without samples do not count.
        least: overlap of the two groups.
        names: of the states, for the message; their indices if left out.

    Raises:
        SimulationError: names the two states between which the overlap is too small.
    """
    if np.count_nonzero(counts) < 2:
        return
    found, pair = weakest_link(overlap, counts)
    if found >= least:
        return
    first, second = (str(n) if names is None else names[n] for n in pair)
    raise SimulationError(
        f"states {first} and {second} overlap too little: found {found:.2g}, allowed: {least:g} or "
        "more (to 0.5); add states between them, or sample longer"
    )


def weakest_link(
    overlap: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[float, tuple[int, int]]:
    """Return the smallest overlap of two groups of states, and the two states that link them best.

    Args:
        overlap: (K, K) overlap matrix.
        counts: (K,) samples drawn from each state, at least two of them above 0.
    """
    sampled = np.flatnonzero(counts)
    matrix = overlap[np.ix_(sampled, sampled)]
    order = _along_slowest_mode(matrix, counts[sampled])
    matrix = matrix[np.ix_(order, order)]
    both = 0.5 * (matrix + matrix.T)
    cuts = range(1, len(order))
    cut = min(cuts, key=lambda n: both[:n, n:].sum())
    across = both[:cut, cut:]
    a, b = np.unravel_index(int(np.argmax(across)), across.shape)
    first, second = sorted(sampled[order[[int(a), cut + int(b)]]].tolist())
    return float(across.sum()), (first, second)


def _along_slowest_mode(
    matrix: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the order of states by the second eigenvector of their overlap matrix.

    The matrix is that of a Markov chain with detailed balance. Its slowest mode has opposite signs
    on the two groups between which the chain passes most rarely.
    """
    root = np.sqrt(counts / counts.sum())
    symmetric = matrix * root[:, None] / root
    # Subtract the first eigenvector: it mixes with the second if two groups do not overlap at all.
    symmetric = 0.5 * (symmetric + symmetric.T) - np.outer(root, root)
    return np.argsort(np.linalg.eigh(symmetric)[1][:, -1] / root)


def require_effective_samples(
    found: tuple[float, float],
    *,
    least: tuple[float, float],
    counts: Sequence[int],
    remedy: str,
) -> None:
    """Refuse ensembles with too few effective samples or too little overlap.

    Args:
        found: number of effective samples, and overlap from 0 to 1.
        least: of both.
        counts: of independent frames in each ensemble, for the message.
        remedy: what to do, for the message.

    Raises:
        SimulationError: one of the two is too small.
    """
    if found[0] >= least[0] and found[1] >= least[1]:
        return
    raise SimulationError(
        f"the ensembles overlap too little: found {found[0]:.3g} effective samples and an overlap "
        f"of {found[1]:.2g} from {' + '.join(map(str, counts))} independent frames, allowed: at "
        f"least {least[0]:g} and {least[1]:g}; {remedy}"
    )
