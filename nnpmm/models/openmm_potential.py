"""An OpenMM System of an isolated molecule as a potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError, SimulationError
from nnpmm.models.bound import BoundPotential
from nnpmm.models.protocol import Evaluation

__all__ = ["OpenMMEvaluator", "OpenMMPotential"]

_CHARGE_ROUNDING = 0.05  # e


@dataclass(frozen=True, eq=False)
class OpenMMPotential:
    """Any force field of a molecule in vacuum, in place of a network.

    Differences of two potentials, such as a network and a force field, are what subtractive
    embedding, delta learning and inner potentials are made of.

    Args:
        system: of the molecule alone. Its constraints do not matter: their terms do.
        name: for messages and logs.
        platform: OpenMM's name of it; Reference computes in double precision and is fast enough
            for a molecule.

    Raises:
        ForceFieldError: the system is periodic, or contains virtual sites.
        ConfigError: no such platform.
    """

    system: openmm.System
    name: str = "force field"
    platform: str = "Reference"

    elements = None
    neutral_only = False

    def __post_init__(self) -> None:
        if self.system.usesPeriodicBoundaryConditions():
            raise ForceFieldError(
                "found a periodic System, allowed: a molecule in vacuum; make it with NoCutoff"
            )
        n_particles = self.system.getNumParticles()
        if any(self.system.isVirtualSite(index) for index in range(n_particles)):
            raise ForceFieldError("found a System with virtual sites, allowed: atoms alone")
        names = [
            openmm.Platform.getPlatform(index).getName()
            for index in range(openmm.Platform.getNumPlatforms())
        ]
        if self.platform not in names:
            raise ConfigError(f"found platform {self.platform!r}, allowed: {', '.join(names)}")

    @property
    def provenance(self) -> dict[str, Any]:
        """The name, and the platform that evaluates it."""
        return {"model": self.name, "backend": "openmm", "device": self.platform}

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> OpenMMEvaluator:
        """Fix the composition, which the System has already.

        Args:
            atomic_numbers: shape (n,), in the order of the System's particles.
            charge: total charge, e; that of the System's NonbondedForce, if it has one.

        Raises:
            RegionError: another number of atoms, or another charge than the System's.
        """
        numbers = np.asarray(atomic_numbers, dtype=np.int64)
        if len(numbers) != self.system.getNumParticles():
            raise RegionError(
                f"found {len(numbers)} atoms, the System of {self.name} has "
                f"{self.system.getNumParticles()} particles; give the System of these atoms alone"
            )
        own = _charge(self.system)
        if own is not None and abs(own - charge) > _CHARGE_ROUNDING:
            raise RegionError(
                f"found a charge of {charge:+d} e, the System of {self.name} has {own:+.3f} e"
            )
        return OpenMMEvaluator(self, numbers)


class OpenMMEvaluator(BoundPotential):
    """An `OpenMMPotential` bound to its atoms; see `nnpmm.models.protocol.Evaluator`."""

    model: OpenMMPotential

    def __init__(self, model: OpenMMPotential, atomic_numbers: NDArray[np.int64]) -> None:
        self.model, self.atomic_numbers = model, atomic_numbers
        platform = openmm.Platform.getPlatformByName(model.platform)
        self._context = openmm.Context(model.system, openmm.VerletIntegrator(0.001), platform)

    def __reduce__(self) -> tuple[Any, ...]:
        text = openmm.XmlSerializer.serialize(self.model.system)
        return (_restore, (text, self.model.name, self.model.platform, self.atomic_numbers))

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            raise SimulationError(f"{self.model.name}: a molecule in vacuum takes no periodic box")
        self._context.setPositions(positions)
        state = self._context.getState(energy=True, forces=True)
        energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
        forces = np.array(state.getForces(asNumpy=True)._value)
        return Evaluation(energy, forces, np.array([energy]))


def _charge(system: openmm.System) -> float | None:
    """Return the total charge of a System's NonbondedForce in e, or None without one."""
    for force in system.getForces():
        if type(force) is openmm.NonbondedForce:
            parameters = (force.getParticleParameters(i) for i in range(force.getNumParticles()))
            return float(sum(charge._value for charge, _, _ in parameters))
    return None


def _restore(
    text: str, name: str, platform: str, atomic_numbers: NDArray[np.int64]
) -> OpenMMEvaluator:
    system = openmm.XmlSerializer.deserialize(text)
    return OpenMMEvaluator(OpenMMPotential(system, name, platform), atomic_numbers)
