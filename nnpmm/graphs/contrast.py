"""The loss of a pre-training: a graph agrees with its own conformers and with no others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["agreement", "contrast"]


def contrast(graphs: Tensor, conformers: Tensor, owner: Tensor, temperature: float) -> Tensor:
    """Return the mean loss of several molecules, a scalar; NT-Xent with several conformers.

    - ln ( sum over own conformers of exp(s_ij / T) / sum over those of others of exp(s_ij / T) )

    with the cosine s_ij of the angle between graph i and conformer j (Stärk et al. 2022, eq. 4).
    Molecules with few conformers count as much as others: the sums are means over the conformers
    of each molecule.

    Args:
        graphs: (molecules, common).
        conformers: (conformers, common).
        owner: (conformers,) molecule of each; every molecule has at least one.
        temperature: T.
    """
    similarity = normalize(graphs, dim=1) @ normalize(conformers, dim=1).T / temperature
    counts = torch.bincount(owner, minlength=len(graphs)).to(graphs.dtype)
    # (molecules, molecules): means over the conformers of the second. The largest similarity is
    # subtracted against overflow, and cancels in the loss.
    largest = similarity.detach().amax()
    means = (
        torch.zeros(len(graphs), len(graphs), dtype=graphs.dtype).index_add(
            1, owner, torch.exp(similarity - largest)
        )
        / counts
    )
    own = torch.diagonal(means)
    return (torch.log(means.sum(dim=1) - own) - torch.log(own)).mean()


def agreement(graphs: Tensor, conformers: Tensor, owner: Tensor) -> float:
    """Return the share of molecules whose graph is nearest to a conformer of their own.

    Arguments are as in `contrast`.
    """
    similarity = normalize(graphs, dim=1) @ normalize(conformers, dim=1).T
    return float((owner[similarity.argmax(dim=1)] == torch.arange(len(graphs))).double().mean())
