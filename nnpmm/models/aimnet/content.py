"""Whether parameters read from a file can be those of an AIMNet2 model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.aimnet.parameters import AimnetParameters, Network
from nnpmm.models.ani.parameters import Layer
from nnpmm.models.ensemble import LARGEST_CONSTANT, check_names, checked_number

__all__ = ["check_parameters"]

_LONGEST_CUTOFF = 20.0  # angstrom
#: What a pass adds for each atom besides its features: a charge and its weight.
_CHARGE_COLUMNS = 2


def check_parameters(parameters: AimnetParameters) -> None:
    """Check types, shapes and ranges.

    Raises:
        ValueError: one does not fit; the message says which.
    """
    check_names(parameters)
    _check_constants(parameters)
    for name, array in parameters.tensors().items():
        if array.dtype != np.float32 or array.size == 0:
            raise ValueError(f"{name}: found {array.dtype} of shape {array.shape}")
        if not np.isfinite(array).all() or np.abs(array).max() > LARGEST_CONSTANT:
            raise ValueError(f"{name}: numbers that are not finite or too large")
    _check_dispersion(parameters)
    for index, member in zip(parameters.member_indices, parameters.members, strict=True):
        _check_network(member, parameters, f"network {index}")


def _check_constants(parameters: AimnetParameters) -> None:
    for name in ("cutoff", "coulomb_cutoff"):
        value = checked_number(getattr(parameters, name), name)
        if not 1.0 <= value <= _LONGEST_CUTOFF:
            raise ValueError(f"{name} {value:g}, allowed: 1 to {_LONGEST_CUTOFF:g} angstrom")
    if checked_number(parameters.eta, "eta") <= 0:
        raise ValueError(f"eta {parameters.eta:g}, allowed: more than 0")
    if not parameters.shifts:
        raise ValueError("found no shifts")
    for value in parameters.shifts:
        checked_number(value, "shifts")
    for name, value in parameters.dispersion.constants().items():
        if checked_number(value, name) < 0:
            raise ValueError(f"{name} {value:g}, allowed: 0 or more")


def _check_dispersion(parameters: AimnetParameters) -> None:
    table, n = parameters.dispersion, len(parameters.elements)
    _check_shape(table.covalent_radii, (n,), "covalent radii")
    _check_shape(table.radii, (n,), "dispersion radii")
    systems = table.reference_coordination.shape[-1]
    _check_shape(table.reference_coordination, (n, systems), "reference coordination")
    _check_shape(table.c6, (n, n, systems, systems), "c6")


def _check_network(member: Network, parameters: AimnetParameters, what: str) -> None:
    n_elements, n_radial = len(parameters.elements), len(parameters.shifts)
    n_features, _, n_combinations = _three_axes(member.feature_combinations, what)
    _check_shape(member.embedding, (n_elements, n_features, n_radial), f"{what}, embedding")
    for array, first in (
        (member.feature_combinations, n_features),
        (member.charge_combinations, 1),
    ):
        _check_shape(array, (first, n_radial, n_combinations), f"{what}, combinations")
    _check_shape(member.self_energies, (n_elements,), f"{what}, self energies")
    of_atom = n_features * n_radial
    of_features = 2 * of_atom + n_features * n_combinations
    of_charges = 1 + n_radial + n_combinations
    *inner, last = member.passes
    for number, layers in enumerate(inner):
        inputs = of_features + (of_charges if number else 0)
        outputs = of_atom + _CHARGE_COLUMNS
        _check_layers(layers, inputs, outputs, f"{what}, pass {number}")
    outputs = _outputs(last)
    _check_layers(last, of_features + of_charges, outputs, f"{what}, last pass")
    _check_layers(member.output, outputs, 1, f"{what}, output")


def _three_axes(array: NDArray[np.float32], what: str) -> tuple[int, ...]:
    if array.ndim != 3:
        raise ValueError(f"{what}: found combinations of shape {array.shape}, expected 3 axes")
    return array.shape


def _outputs(layers: tuple[Layer, ...]) -> int:
    return len(layers[-1].bias)


def _check_layers(layers: tuple[Layer, ...], inputs: int, outputs: int, what: str) -> None:
    for depth, layer in enumerate(layers):
        width = layer.bias.size
        _check_shape(layer.bias, (width,), f"{what}, bias {depth}")
        _check_shape(layer.weight, (width, inputs), f"{what}, weight {depth}")
        inputs = width
    if inputs != outputs:
        raise ValueError(f"{what}: found {inputs} outputs, expected {outputs}")


def _check_shape(array: NDArray[np.float32], shape: tuple[int, ...], what: str) -> None:
    if array.shape != shape:
        raise ValueError(f"{what}: found shape {array.shape}, expected {shape}")
