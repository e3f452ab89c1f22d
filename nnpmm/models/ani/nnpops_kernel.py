"""ANI evaluated by NNPOps, from nnpmm's parameters.

NNPOps' OptimizedTorchANI consists of symmetry functions and of networks batched over members. Both
are used here without its last step, which returns only the mean over the members.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import ModelError, OptionalDependencyError
from nnpmm.models.ani.autograd import differentiate
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters
from nnpmm.models.ani.torchani_kernel import (
    aev_computer,
    import_torchani,
    sequential,
    torchani_coordinates,
)
from nnpmm.models.protocol import BatchEvaluation, Evaluation, one_by_one
from nnpmm.models.threads import threads_for

__all__ = ["NNPOPS_INSTALL", "NnpopsKernel", "import_nnpops"]

NNPOPS_INSTALL = "conda install -c conda-forge nnpops"
_LINEAR_LAYERS = (0, 2, 4, 6)  # of the seven modules that NNPOps expects in a network


def import_nnpops() -> Any:
    """Import NNPOps' module of symmetry functions and that of batched networks.

    Raises:
        OptionalDependencyError: NNPOps or torchani is missing, or was built for another torch.
    """
    import_torchani()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from NNPOps import BatchedNN, SymmetryFunctions
    except (ImportError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise OptionalDependencyError(
            f"cannot import NNPOps with torch {torch.__version__} ({reason}); {NNPOPS_INSTALL}"
        ) from error
    return SymmetryFunctions, BatchedNN


class NnpopsKernel:
    """The ``nnpops`` backend: NNPOps' symmetry functions and batched networks.

    NNPOps knows float32 alone: ``precision`` is ``"single"``, and `AniModel` refuses any other.

    Raises:
        ModelError: networks that do not have four layers.
        OptionalDependencyError: NNPOps cannot be imported.
    """

    def __init__(
        self, parameters: AniParameters, symbols: list[str], device: str, precision: str
    ) -> None:
        _check_layers(parameters)
        self._symmetry_functions, batched = import_nnpops()
        torchani = import_torchani()
        elements = parameters.elements
        numbers = [[Element.getBySymbol(symbol).atomic_number for symbol in symbols]]
        self._numbers = torch.tensor(numbers, device=device)
        self._converter = torchani.SpeciesConverter(elements).to(device)
        self._aev_constants = aev_computer(torchani, parameters.symmetry_functions)
        ensemble = torchani.nn.Ensemble(
            [
                torchani.ANIModel([sequential(member[e]) for e in elements])
                for member in parameters.members
            ]
        )
        (self._networks,) = batched.TorchANIBatchedNN(self._converter, ensemble, self._numbers)
        self._networks.to(device)
        self._linear = batched.batchedLinear
        self._aevs: dict[bool, Any] = {}
        self._device = device

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm."""
        return differentiate(lambda tensor: self._energies(tensor, box), positions, self._device)

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        with torch.no_grad(), threads_for(len(positions)):
            tensor = torch.tensor(positions, device=self._device)
            return self._energies(tensor, box).cpu().numpy()

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        return one_by_one(self, positions)

    def _energies(self, positions: torch.Tensor, box: NDArray[np.float64] | None) -> torch.Tensor:
        angstrom, cell, periodic = torchani_coordinates(positions, box, torch.float32)
        aev = self._aev(box is not None)
        _, columns = aev((self._numbers, angstrom.contiguous()), cell, periodic)
        vectors = columns.unsqueeze(-2).unsqueeze(-1)
        for layer in _LINEAR_LAYERS:
            weights = getattr(self._networks, f"layer{layer}_weights")
            biases = getattr(self._networks, f"layer{layer}_biases")
            vectors = self._linear(vectors, weights, biases)
            if layer != _LINEAR_LAYERS[-1]:
                vectors = torch.nn.functional.celu(vectors, CELU_ALPHA)
        # (1, atoms, members, 1, 1): the atoms are added up, the members kept.
        return vectors.to(torch.float64).sum((0, 1, 3, 4)) * HARTREE_TO_KJ_PER_MOL

    def _aev(self, periodic: bool) -> Any:
        # One of NNPOps' objects stays with or without a box, whichever its first call had, and
        # ignores the box of a later one.
        if periodic not in self._aevs:
            self._aevs[periodic] = self._symmetry_functions.TorchANISymmetryFunctions(
                self._converter, self._aev_constants, self._numbers
            )
        return self._aevs[periodic]


def _check_layers(parameters: AniParameters) -> None:
    depths = {len(member[e]) for member in parameters.members for e in parameters.elements}
    if depths != {len(_LINEAR_LAYERS)}:
        raise ModelError(
            f"found networks of {sorted(depths)} layers in {parameters.name}, NNPOps supports "
            f"{len(_LINEAR_LAYERS)}; use another backend, for example 'reference'"
        )
