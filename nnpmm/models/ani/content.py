"""Whether parameters read from a file can be those of an ANI model, before anything is compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from openmm.app import Element

from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions

__all__ = ["check_parameters"]

#: Angstrom. Published cutoffs are 5.2 and 3.5; the shortest is longer than a bond to hydrogen.
_CUTOFFS = (1.0, 20.0)
_LARGEST = 1e6  # of a constant, weight or bias; published ones are below 1e3
_POSITIVE = ("radial_eta", "angular_eta", "angular_zeta")
_LISTS = ("radial_shifts", "angular_shifts", "angle_shifts")


def check_parameters(parameters: AniParameters) -> None:
    """Check types, shapes and ranges.

    Raises:
        ValueError: one does not fit; the message says which.
    """
    functions = parameters.symmetry_functions
    _check_names(parameters)
    _check_constants(functions)
    for symbol in functions.elements:
        _number(parameters.self_energies.get(symbol), f"the self energy of {symbol}")
    for index, member in zip(parameters.member_indices, parameters.members, strict=True):
        for symbol in functions.elements:
            _check_network(member[symbol], functions.aev_length, f"network {index} of {symbol}")


def _check_names(parameters: AniParameters) -> None:
    elements, indices = parameters.symmetry_functions.elements, parameters.member_indices
    if not isinstance(parameters.name, str):
        raise ValueError("the name is not text")
    known = Element._elements_by_symbol
    if not isinstance(elements, tuple) or not elements or len(set(elements)) != len(elements):
        raise ValueError("found no list of different elements")
    unknown = [e for e in elements if not isinstance(e, str) or e.upper() not in known]
    if unknown:
        raise ValueError(f"found the element {unknown[0]!r}")
    if not indices or len(set(indices)) != len(indices) or not all(map(_is_index, indices)):
        raise ValueError(f"found members {indices}, expected different whole numbers")
    if not isinstance(parameters.self_energies, dict):
        raise ValueError("found no self energies")


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_constants(functions: SymmetryFunctions) -> None:
    shortest, longest = _CUTOFFS
    for name in ("radial_cutoff", "angular_cutoff"):
        value = _number(getattr(functions, name), name)
        if not shortest <= value <= longest:
            raise ValueError(f"{name} {value:g}, allowed: {shortest:g} to {longest:g} angstrom")
    if functions.angular_cutoff > functions.radial_cutoff:
        raise ValueError("the angular cutoff is longer than the radial one")
    for name in _POSITIVE:
        if _number(getattr(functions, name), name) <= 0:
            raise ValueError(f"{name} {getattr(functions, name):g}, allowed: more than 0")
    for name in _LISTS:
        values = getattr(functions, name)
        if not isinstance(values, tuple) or not values:
            raise ValueError(f"{name} is not a list of numbers")
        for value in values:
            _number(value, name)


def _number(value: Any, what: str) -> float:
    """Return a value that is a number of sensible size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what} is not a number")
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError(f"{what} is {value:g}, allowed: finite and at most {_LARGEST:g}")
    return float(value)


def _check_network(layers: tuple[Layer, ...], inputs: int, what: str) -> None:
    """Check that layers lead from the symmetry functions to one number, in float32."""
    for depth, layer in enumerate(layers):
        for array, n_axes in ((layer.weight, 2), (layer.bias, 1)):
            if array.dtype != np.float32 or array.ndim != n_axes or array.size == 0:
                raise ValueError(
                    f"{what}, layer {depth}: found {array.dtype} of shape {array.shape}, expected "
                    f"float32 with {n_axes} axes"
                )
            if not np.isfinite(array).all() or np.abs(array).max() > _LARGEST:
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
