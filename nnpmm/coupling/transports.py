"""The OpenMM force that carries positions to the network and its forces back.

| transport | force | what it runs |
| --- | --- | --- |
| python | OpenMM's PythonForce | the evaluator with its backend, on the region's positions |
| torchscript | openmm-torch's TorchForce | the network as TorchScript, without Python |
| torch | openmm-torch's PythonTorchForce | the evaluator on tensors that stay on the device |
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import (
    ConfigError,
    ForceFieldError,
    ModelError,
    OptionalDependencyError,
    RegionError,
)
from nnpmm.core.geometry import spanning_trees
from nnpmm.coupling.callback import BoxCallback, RegionCallback
from nnpmm.coupling.roles import Role
from nnpmm.models.protocol import Evaluator, ScriptableEvaluator, TensorEvaluator

__all__ = [
    "TRANSPORTS",
    "add_in_own_group",
    "check_transport",
    "create_box_force",
    "create_region_force",
]

_OPENMM_TORCH = "conda install -c conda-forge openmm-torch"
_log = logging.getLogger(__name__)

# Keyword arguments of `RegionCallback` and `TensorCallback`.
Settings = dict[str, Any]


def check_transport(name: str) -> str:
    """Return the name if there is such a transport.

    Raises:
        ConfigError: there is none.
    """
    if name not in TRANSPORTS:
        raise ConfigError(f"found the transport {name!r}, available: {', '.join(TRANSPORTS)}")
    return name


def create_region_force(
    evaluator: Evaluator,
    atoms: NDArray[np.int64],
    bonds: NDArray[np.int64],
    *,
    periodic: bool,
    exact_to_half_box: bool,
    transport: str = "python",
    weight: str | None = None,
    role: Role = Role.NETWORK,
) -> openmm.Force:
    """Return a force that applies a potential to some atoms, as whole molecules without images.

    Args:
        evaluator: the potential bound to the atoms.
        atoms: their indices in the system.
        bonds: pairs of row numbers of ``atoms``, (m, 2), along which the region is made whole.
        periodic: the system has a periodic box.
        exact_to_half_box: refuse a region that spans half the box or more, because its pairs are
            removed from an Ewald sum at their nearest image. A region of several molecules is
            always refused then: each molecule is moved to the image nearest to the first one, and
            at half the box this becomes a different image.
        transport: a name in `TRANSPORTS`.
        weight: name of a global parameter, 1 by default, that multiplies energy and forces, for
            ``transport="python"``.
        role: of the force, which determines its name.

    Raises:
        ConfigError: no such transport.
        ModelError: the potential does not support the transport.
        OptionalDependencyError: openmm-torch is missing, or has no such force.
    """
    create = TRANSPORTS[check_transport(transport)]
    if weight is not None and transport != "python":
        raise ConfigError(
            f"found transport={transport!r} for a network with a weight (Interpolated()), allowed: "
            "'python'"
        )
    fragments = spanning_trees(len(atoms), bonds)[1]
    settings: Settings = {
        "periodic": periodic,
        "exact_to_half_box": exact_to_half_box or len(fragments) > 1,
    }
    if weight is not None:
        settings["weight"] = weight
    force = create(evaluator, [int(atom) for atom in atoms], bonds, settings)
    force.setName(role.value)
    # OpenMM passes wrong positions to a non-periodic force in a periodic system (issue 5421).
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


def create_box_force(evaluator: Evaluator) -> openmm.Force:
    """Return a force that applies a potential to a whole periodic system, images included.

    Args:
        evaluator: the potential bound to all particles of the system.

    Raises:
        RegionError: the potential describes molecules without images.
    """
    if not getattr(evaluator, "takes_box", True):
        raise RegionError(
            "found a periodic system, but the network describes molecules without periodic "
            "images; leave out the box, or describe the molecules as a region in a force field"
        )
    force = openmm.PythonForce(BoxCallback(evaluator))
    force.setName(Role.NETWORK.value)
    force.setUsesPeriodicBoundaryConditions(True)
    return force


def add_in_own_group(system: openmm.System, force: openmm.Force) -> int:
    """Add a force in the first free force group from 1 on, in place; return the group.

    Raises:
        ForceFieldError: all 32 force groups are in use.
    """
    taken = {other.getForceGroup() for other in system.getForces()}
    for group in range(1, 32):
        if group not in taken:
            force.setForceGroup(group)
            system.addForce(force)
            return group
    raise ForceFieldError("all 32 force groups are in use; free one for the network")


def _python(
    evaluator: Evaluator, atoms: list[int], bonds: NDArray[np.int64], settings: Settings
) -> openmm.Force:
    weight = settings.get("weight")
    callback = RegionCallback(evaluator, bonds, **settings)
    force = openmm.PythonForce(callback, {} if weight is None else {weight: 1.0})
    force.setParticles(atoms)
    return force


def _torchscript(
    evaluator: Evaluator, atoms: list[int], bonds: NDArray[np.int64], settings: Settings
) -> openmm.Force:
    if not isinstance(evaluator, ScriptableEvaluator):
        raise ModelError(_unfit(evaluator, "torchscript", "a network that TorchScript can compile"))
    import torch

    from nnpmm.coupling.torch_region import RegionEnergy, WholeRegionModule

    whole = WholeRegionModule(len(atoms), bonds, exact_to_half_box=settings["exact_to_half_box"])
    module = RegionEnergy(evaluator.torch_module(), np.array(atoms), whole)
    return _import_openmmtorch("TorchForce")(torch.jit.script(module.eval()))


def _torch(
    evaluator: Evaluator, atoms: list[int], bonds: NDArray[np.int64], settings: Settings
) -> openmm.Force:
    if not isinstance(evaluator, TensorEvaluator):
        raise ModelError(_unfit(evaluator, "torch", "a network that takes torch tensors"))
    from nnpmm.coupling.torch_region import TensorCallback

    force = _import_openmmtorch("PythonTorchForce")(TensorCallback(evaluator, bonds, **settings))
    force.setParticles(atoms)
    return force


_Builder = Callable[[Evaluator, list[int], NDArray[np.int64], Settings], openmm.Force]

#: Name of each transport and the function that makes its force.
TRANSPORTS: dict[str, _Builder] = {
    "python": _python,
    "torchscript": _torchscript,
    "torch": _torch,
}


def _import_openmmtorch(force: str) -> Any:
    """Return a force class of openmm-torch.

    Raises:
        OptionalDependencyError: it is not installed, cannot be loaded, or lacks the class.
    """
    try:
        importlib.import_module("torch")  # openmm-torch's libraries need torch's to be loaded first
        import openmmtorch
    except (ImportError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise OptionalDependencyError(
            f"cannot import openmmtorch ({reason}); {_OPENMM_TORCH}, or use transport='python'"
        ) from error
    _load_failed_plugins()
    try:
        return getattr(openmmtorch, force)
    except AttributeError as error:
        raise OptionalDependencyError(
            f"the installed openmm-torch has no {force}; install a release that has it, or use "
            "transport='python'"
        ) from error


@functools.cache
def _load_failed_plugins() -> None:
    """Load openmm-torch's plug-ins again: they fail if openmm is imported before torch."""
    failures = " ".join(openmm.Platform.getPluginLoadFailures())
    plugins = Path(openmm.version.openmm_library_path) / "plugins"
    for library in sorted(plugins.glob("*OpenMMTorch*")):
        if library.name in failures:
            try:
                openmm.Platform.loadPluginLibrary(str(library))
            except openmm.OpenMMException as error:  # a platform that this machine does not have
                _log.debug("%s: %s", library, error)


def _unfit(evaluator: Evaluator, transport: str, needed: str) -> str:
    return (
        f"found a {type(evaluator).__name__}, transport={transport!r} needs {needed}, such as an "
        "ANI model; use transport='python'"
    )
