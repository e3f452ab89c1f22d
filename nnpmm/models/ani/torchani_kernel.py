"""ANI evaluated by the installed torchani, from nnpmm's parameters.

torchani's own loader is not used: its wheel leaves out ANI-2x and ANI-1ccx, and it adds the self
energies in float32.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import ModelError, OptionalDependencyError
from nnpmm.models.ani.autograd import differentiate
from nnpmm.models.ani.parameters import CELU_ALPHA, AniParameters, Layer, SymmetryFunctions
from nnpmm.models.protocol import BatchEvaluation, Evaluation, one_by_one
from nnpmm.models.threads import threads_for

__all__ = [
    "TorchaniKernel",
    "aev_computer",
    "import_torchani",
    "parameters_from_torchani",
    "sequential",
    "torchani_coordinates",
]


def import_torchani() -> Any:
    """Import torchani 2.2 without its start-up warnings.

    Raises:
        OptionalDependencyError: torchani is missing, of another version, or cannot be imported.
    """
    remedy = "pip install 'torchani==2.2.4' 'setuptools<81'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchani
    except ImportError as error:
        raise OptionalDependencyError(f"cannot import torchani ({error}); {remedy}") from error
    if not str(torchani.__version__).startswith("2.2"):
        raise OptionalDependencyError(
            f"found torchani {torchani.__version__}, expected 2.2; {remedy}"
        )
    return torchani


class TorchaniKernel:
    """The ``torchani`` backend: torchani's AEV computer and network classes."""

    def __init__(
        self,
        parameters: AniParameters,
        symbols: list[str],
        device: str,
        precision: str,
        threads: int | None = None,
    ) -> None:
        torchani = import_torchani()
        dtype = torch.float64 if precision == "double" else torch.float32
        elements = parameters.elements
        self._aev = aev_computer(torchani, parameters.symmetry_functions).to(device, dtype)
        self._members = [
            torchani.ANIModel([sequential(member[e]) for e in elements]).to(device, dtype)
            for member in parameters.members
        ]
        self._species = torch.tensor([[elements.index(s) for s in symbols]], device=device)
        self._device, self._dtype, self._threads = device, dtype, threads

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies at positions (n, 3) in nm."""
        return differentiate(
            lambda tensor: self._energies(tensor, box), positions, self._device, self._threads
        )

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""
        with torch.no_grad(), threads_for(len(positions), self._threads):
            tensor = torch.tensor(positions, device=self._device)
            return self._energies(tensor, box).cpu().numpy()

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        return one_by_one(self, positions)

    def _energies(self, positions: torch.Tensor, box: NDArray[np.float64] | None) -> torch.Tensor:
        angstrom, cell, periodic = torchani_coordinates(positions, box, self._dtype)
        species, aevs = self._aev((self._species, angstrom), cell=cell, pbc=periodic)
        energies = torch.cat([member((species, aevs)).energies for member in self._members])
        return energies.to(torch.float64) * HARTREE_TO_KJ_PER_MOL


def torchani_coordinates(
    positions: torch.Tensor, box: NDArray[np.float64] | None, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Return coordinates (1, n, 3), cell (3, 3) and periodic flags (3,) as torchani takes them.

    Args:
        positions: (n, 3) in nm; the coordinates keep their gradient.
        box: box vectors as rows, (3, 3), in nm, or None; then cell and flags are None too.
        dtype: of coordinates and cell, in angstrom.
    """
    angstrom = (10.0 * (positions - positions[0].detach())).to(dtype).unsqueeze(0)
    if box is None:
        return angstrom, None, None
    cell = torch.tensor(10.0 * box, device=positions.device, dtype=dtype)
    # torchani's cell list wants every atom inside the cell.
    images = torch.linalg.solve(cell.T, angstrom[0].detach().T).T.floor()
    return angstrom - images @ cell, cell, torch.ones(3, dtype=torch.bool, device=cell.device)


def parameters_from_torchani(model: Any, name: str) -> AniParameters:
    """Return the parameters of a torchani 2.2 model object such as ``torchani.models.ANI1x()``.

    Args:
        model: a built-in model, with ``aev_computer``, ``neural_networks``, ``energy_shifter`` and
            ``species``.
        name: for the parameters.

    Raises:
        ModelError: the object lacks one of these, or has more than one width per function.
    """
    try:
        aev, networks = model.aev_computer, model.neural_networks
        elements = tuple(model.species)
        self_energies = [float(x) for x in model.energy_shifter.self_energies]
        functions = SymmetryFunctions(
            elements=elements,
            radial_cutoff=float(aev.Rcr),
            angular_cutoff=float(aev.Rca),
            radial_eta=aev.EtaR.item(),
            radial_shifts=tuple(aev.ShfR.flatten().tolist()),
            angular_eta=aev.EtaA.item(),
            angular_shifts=tuple(aev.ShfA.flatten().tolist()),
            angular_zeta=aev.Zeta.item(),
            angle_shifts=tuple(aev.ShfZ.flatten().tolist()),
        )
    except (AttributeError, TypeError, RuntimeError) as error:
        raise ModelError(f"found no torchani 2.2 model: {error}") from error
    ensemble: list[Any] = (
        list(networks) if isinstance(networks, torch.nn.ModuleList) else [networks]
    )
    members = tuple(
        {e: _layers(network) for e, network in zip(elements, member.values(), strict=True)}
        for member in ensemble
    )
    return AniParameters(
        name,
        functions,
        members,
        dict(zip(elements, self_energies, strict=True)),
        tuple(range(len(members))),
    )


def _layers(network: torch.nn.Module) -> tuple[Layer, ...]:
    return tuple(
        Layer(m.weight.detach().cpu().numpy().copy(), m.bias.detach().cpu().numpy().copy())
        for m in network.modules()
        if isinstance(m, torch.nn.Linear)
    )


def aev_computer(torchani: Any, functions: SymmetryFunctions) -> torch.nn.Module:
    """Return torchani's AEV computer with these constants, in float64."""
    return torchani.AEVComputer(
        Rcr=functions.radial_cutoff,
        Rca=functions.angular_cutoff,
        EtaR=torch.tensor([functions.radial_eta], dtype=torch.float64),
        ShfR=torch.tensor(functions.radial_shifts, dtype=torch.float64),
        EtaA=torch.tensor([functions.angular_eta], dtype=torch.float64),
        Zeta=torch.tensor([functions.angular_zeta], dtype=torch.float64),
        ShfA=torch.tensor(functions.angular_shifts, dtype=torch.float64),
        ShfZ=torch.tensor(functions.angle_shifts, dtype=torch.float64),
        num_species=len(functions.elements),
    )


def sequential(layers: tuple[Layer, ...]) -> torch.nn.Sequential:
    """Return one element's network as torchani's classes take it."""
    modules: list[torch.nn.Module] = []
    for depth, layer in enumerate(layers):
        linear = torch.nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
        linear.weight = torch.nn.Parameter(torch.from_numpy(layer.weight), requires_grad=False)
        linear.bias = torch.nn.Parameter(torch.from_numpy(layer.bias), requires_grad=False)
        modules.append(linear)
        if depth < len(layers) - 1:
            modules.append(torch.nn.CELU(CELU_ALPHA))
    return torch.nn.Sequential(*modules)
