"""Whether parameters read from a file can be those of an ANI model, before anything is compiled."""

from __future__ import annotations

import numpy as np

from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions
from nnpmm.models.ensemble import LARGEST_CONSTANT, check_names, checked_number

__all__ = ["check_parameters"]

#: Angstrom. Published cutoffs are 5.2 and 3.5; the shortest is longer than a bond to hydrogen.
_CUTOFFS = (1.0, 20.0)
_POSITIVE = ("radial_eta", "angular_eta", "angular_zeta")
_LISTS = ("radial_shifts", "angular_shifts", "angle_shifts")


def check_parameters(parameters: AniParameters) -> None:
    """Check types, shapes and ranges.

    Raises:
        ValueError: one does not fit; the message says which.
    """
    functions = parameters.symmetry_functions
    check_names(parameters)
    _check_constants(functions)
    for index, member in zip(parameters.member_indices, parameters.members, strict=True):
        for symbol in functions.elements:
            _check_network(member[symbol], functions.aev_length, f"network {index} of {symbol}")


def _check_constants(functions: SymmetryFunctions) -> None:
    shortest, longest = _CUTOFFS
    for name in ("radial_cutoff", "angular_cutoff"):
        value = checked_number(getattr(functions, name), name)
        if not shortest <= value <= longest:
            raise ValueError(f"{name} {value:g}, allowed: {shortest:g} to {longest:g} angstrom")
    if functions.angular_cutoff > functions.radial_cutoff:
        raise ValueError("the angular cutoff is longer than the radial one")
    for name in _POSITIVE:
        if checked_number(getattr(functions, name), name) <= 0:
            raise ValueError(f"{name} {getattr(functions, name):g}, allowed: more than 0")
    for name in _LISTS:
        values = getattr(functions, name)
        if not isinstance(values, tuple) or not values:
            raise ValueError(f"{name} is not a list of numbers")
        for value in values:
            checked_number(value, name)


def _check_network(layers: tuple[Layer, ...], inputs: int, what: str) -> None:
    """Check that layers lead from the symmetry functions to one number, in float32."""
    for depth, layer in enumerate(layers):
        for array, n_axes in ((layer.weight, 2), (layer.bias, 1)):
            if array.dtype != np.float32 or array.ndim != n_axes or array.size == 0:
                raise ValueError(
                    f"{what}, layer {depth}: found {array.dtype} of shape {array.shape}, expected "
                    f"float32 with {n_axes} axes"
                )
            if not np.isfinite(array).all() or np.abs(array).max() > LARGEST_CONSTANT:
                raise ValueError(f"{what}, layer {depth}: numbers that are not finite or too large")
        outputs = len(layer.bias)
        if layer.weight.shape != (outputs, inputs):
            raise ValueError(
                f"{what}, layer {depth}: found weights of shape {layer.weight.shape}, expected "
                f"{(outputs, inputs)}"
            )
        inputs = outputs
    if inputs != 1:
        raise ValueError(f"{what}: found {inputs} outputs, expected 1")
