"""Reads the TorchScript file in which AIMNet2 was published, once; nothing in it is run."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.errors import WeightsError
from nnpmm.models.aimnet.parameters import PASSES, AimnetParameters, Dispersion, Network
from nnpmm.models.ani.parameters import Layer

__all__ = ["read_published_file"]

#: Rows of the file's tables that were trained; the others, for all atomic numbers, are random.
_ELEMENTS = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Se", "Br", "I")


def read_published_file(path: Path, name: str, sha256: str) -> AimnetParameters:
    """Return the parameters in a TorchScript file of four networks.

    Args:
        path: the file.
        name: that the parameters carry.
        sha256: of the published file. A TorchScript file is a program: no other is opened.

    Raises:
        WeightsError: the file is not the published one.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"{path}: not the published file of {name} (sha256 {found[:12]}, expected "
            f"{sha256[:12]}); fetch it again"
        )
    import torch

    ensemble = torch.jit.load(io.BytesIO(content), map_location="cpu")
    modules = [wrapped.module for wrapped in ensemble.models.children()]
    numbers = [Element.getBySymbol(symbol).atomic_number for symbol in _ELEMENTS]
    members = tuple(_network(module, numbers) for module in modules)
    first = modules[0]
    energies = np.mean([member.self_energies.astype(np.float64) for member in members], axis=0)
    return AimnetParameters(
        name=name,
        elements=_ELEMENTS,
        cutoff=first.aev.rc_s.item(),
        eta=first.aev.eta_s.item(),
        shifts=tuple(first.aev.shifts_s.tolist()),
        coulomb_cutoff=first.outputs.lrcoulomb.rc.item(),
        dispersion=_dispersion(first.outputs.d3bj, numbers),
        members=members,
        member_indices=tuple(range(len(members))),
        self_energies=dict(zip(_ELEMENTS, energies.tolist(), strict=True)),
    )


def _network(module: Any, numbers: Sequence[int]) -> Network:
    n_features, n_radial, _ = module.conv_a.agh.shape
    embedding = _array(module.afv.weight)[numbers].reshape(-1, n_features, n_radial)
    return Network(
        embedding=embedding,
        feature_combinations=_array(module.conv_a.agh),
        charge_combinations=_array(module.conv_q.agh),
        passes=tuple(_layers(getattr(module.mlps, str(number))) for number in range(PASSES)),
        output=_layers(module.outputs.energy_mlp.mlp),
        self_energies=_array(module.outputs.atomic_shift.shifts.weight)[numbers, 0],
    )


def _layers(sequence: Any) -> tuple[Layer, ...]:
    return tuple(
        Layer(_array(each.weight), _array(each.bias))
        for each in sequence.children()
        if each.original_name == "Linear"
    )


def _dispersion(module: Any, numbers: Sequence[int]) -> Dispersion:
    # For each pair of elements and of their reference systems: C6 and both coordination numbers,
    # which depend on the one element and its reference system alone.
    table = _array(module.c6ab)[np.ix_(numbers, numbers)]
    return Dispersion(
        s6=module.s6,
        s8=module.s8,
        a1=module.a1,
        a2=module.a2,
        counting=-module.k1,
        weighting=-module.k3,
        covalent_radii=_array(module.rcov)[numbers],
        radii=_array(module.r4r2)[numbers],
        reference_coordination=table[:, 0, :, 0, 1],
        c6=table[..., 0],
    )


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array.astype(np.float32)
