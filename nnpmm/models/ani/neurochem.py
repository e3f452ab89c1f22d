"""Reads ANI models in NeuroChem's folder layout, the form in which they were published.

A model folder has one ``*.params`` file with the symmetry-function constants, ``sae_linfit.dat``
with the self energies, and for each network a folder ``train<i>/networks`` with, for every element,
``ANN-<element>.nnf`` (a bzip2-compressed description) and the layers' raw float32 weights and
biases.
"""

from __future__ import annotations

import bz2
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import WeightsError
from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions

__all__ = ["read_neurochem"]

_CELU, _LINEAR = 9, 6  # NeuroChem's activation codes


def read_neurochem(folder: Path, name: str) -> AniParameters:
    """Read every network of a NeuroChem model folder such as ``ani-2x_8x``.

    Args:
        folder: the model folder.
        name: the name that the parameters carry.

    Raises:
        WeightsError: a file is missing, truncated or not understood.
    """
    constants = sorted(folder.glob("*.params"))
    trained = sorted(
        (path for path in folder.glob("train*") if path.name[5:].isdecimal()),
        key=lambda path: int(path.name[5:]),
    )
    if not constants or not trained:
        raise WeightsError(
            f"{folder}: found no NeuroChem model, expected a *.params file and folders train0, "
            "train1, ..."
        )
    try:
        symmetry_functions = _read_constants(constants[0])
        energies = _read_self_energies(folder / "sae_linfit.dat")
        self_energies = {e: energies[e] for e in symmetry_functions.elements}
        members = tuple(
            {e: _read_network(path / "networks", e) for e in symmetry_functions.elements}
            for path in trained
        )
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"{folder}: {error}; fetch the model folder again") from error
    return AniParameters(
        name=name,
        symmetry_functions=symmetry_functions,
        members=members,
        self_energies=self_energies,
        member_indices=tuple(int(path.name[5:]) for path in trained),
    )


def _read_constants(path: Path) -> SymmetryFunctions:
    entries = {}
    for line in path.read_text().splitlines():
        key, separator, value = (part.strip() for part in line.partition("="))
        if separator:
            entries[key] = value

    def numbers(key: str) -> tuple[float, ...]:
        return tuple(float(x) for x in entries[key].strip("[]").split(","))

    def number(key: str) -> float:
        (value,) = numbers(key)
        return value

    return SymmetryFunctions(
        elements=tuple(x.strip() for x in entries["Atyp"].strip("[]").split(",")),
        radial_cutoff=number("Rcr"),
        angular_cutoff=number("Rca"),
        radial_eta=number("EtaR"),
        radial_shifts=numbers("ShfR"),
        angular_eta=number("EtaA"),
        angular_shifts=numbers("ShfA"),
        angular_zeta=number("Zeta"),
        angle_shifts=numbers("ShfZ"),
    )


def _read_self_energies(path: Path) -> dict[str, float]:
    energies = {}
    for line in path.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator:
            energies[key.split(",")[0].strip()] = float(value)
    return energies


def _read_network(folder: Path, element: str) -> tuple[Layer, ...]:
    path = folder / f"ANN-{element}.nnf"
    raw = path.read_bytes()
    start = raw.find(b"=\n")
    if start < 0:
        raise ValueError(f"{path.name} is empty or not a NeuroChem network")
    description = bz2.decompress(raw[start + 2 :]).decode("ascii")
    inputs = int(_field(description, r"inputsize=(\d+)"))
    layers = []
    blocks = re.findall(r"layer \[(.*?)\n\]", description, flags=re.DOTALL)
    for i, block in enumerate(blocks):
        outputs = int(_field(block, r"nodes=(\d+)"))
        activation = int(_field(block, r"activation=(\d+)"))
        expected = _LINEAR if i == len(blocks) - 1 else _CELU
        if activation != expected:
            raise ValueError(
                f"{path.name} has activation {activation} in layer {i}, not {expected}"
            )
        weight = _read_floats(folder / _field(block, r"weights=FILE:([^\[]+)"), outputs * inputs)
        bias = _read_floats(folder / _field(block, r"biases=FILE:([^\[]+)"), outputs)
        layers.append(Layer(weight.reshape(outputs, inputs), bias))
        inputs = outputs
    return tuple(layers)


def _field(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"network description lacks {pattern.split('=')[0]!r}")
    return match.group(1)


def _read_floats(path: Path, count: int) -> NDArray[np.float32]:
    values = np.fromfile(path, dtype="<f4")
    if values.size != count or not np.isfinite(values).all():
        raise ValueError(
            f"{path.name} contains {values.size} numbers, expected {count} finite ones"
        )
    return values.astype(np.float32)
