"""An OpenMM System of an isolated molecule as a potential."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError, SimulationError
from nnpmm.models.bound import BoundPotential
from nnpmm.models.in_process import new_key, recall, remember
from nnpmm.models.protocol import Evaluation

__all__ = ["OpenMMEvaluator", "OpenMMPotential"]

_LOGGER = logging.getLogger(__name__)
_CHARGE_ROUNDING = 0.05  # e
_NOT_CONVERGED = "Induced dipoles did not converge"  # in OpenMM's message
# Debye, 1e-3 and a margin for rounding. At 1e-4 energies are within 0.003 kJ/mol of those at 1e-5.
_LARGEST_TOLERANCE = 1.001e-3


@dataclass(frozen=True, eq=False)
class OpenMMPotential:
    """A force field of a molecule in vacuum, as a potential like a network.

    Subtractive embedding, delta learning and inner potentials are based on differences between two
    potentials, such as a network and a force field.

    Args:
        system: of the molecule alone, any virtual sites behind its atoms. Constraints are ignored;
            only energy terms count.
        name: for messages and logs.
        platform: name of OpenMM's platform; Reference uses double precision and is fast enough for
            a molecule.

    Raises:
        ForceFieldError: the system is periodic, or an atom follows a virtual site.
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
        indices = range(self.system.getNumParticles())
        if any(self.system.isVirtualSite(index) for index in indices[: self.n_atoms]):
            raise ForceFieldError(
                "found a System with a virtual site before an atom, allowed: sites behind all atoms"
            )
        names = [
            openmm.Platform.getPlatform(index).getName()
            for index in range(openmm.Platform.getNumPlatforms())
        ]
        if self.platform not in names:
            raise ConfigError(f"found platform {self.platform!r}, allowed: {', '.join(names)}")

    @property
    def n_atoms(self) -> int:
        """Number of particles that are not virtual sites."""
        count = self.system.getNumParticles()
        return count - sum(self.system.isVirtualSite(index) for index in range(count))

    @property
    def provenance(self) -> dict[str, Any]:
        """The name, and the platform that evaluates it."""
        return {"model": self.name, "backend": "openmm", "device": self.platform}

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> OpenMMEvaluator:
        """Check the composition, which the System determines.

        Args:
            atomic_numbers: shape (n,), in the order of the System's particles.
            charge: total charge, e; that of the System's charges or multipoles, if it has any.

        Raises:
            RegionError: another number of atoms, or another charge than the System's.
        """
        numbers = np.asarray(atomic_numbers, dtype=np.int64)
        if len(numbers) != self.n_atoms:
            raise RegionError(
                f"found {len(numbers)} atoms, but the System of {self.name} has {self.n_atoms}; "
                "give the System of these atoms alone"
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
        self._n_sites = model.system.getNumParticles() - len(atomic_numbers)
        self._lock = threading.Lock()  # copies of a system share the context
        self._key = new_key()
        remember(self._key, self)

    def __reduce__(self) -> tuple[Any, ...]:
        text = openmm.XmlSerializer.serialize(self.model.system)
        model = (self.model.name, self.model.platform)
        return (_restore, (self._key, text, *model, self.atomic_numbers))

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            raise SimulationError(f"{self.model.name}: a molecule in vacuum has no periodic box")
        with self._lock:
            state = self._state(positions)
        energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
        # OpenMM has added the forces on virtual sites to those on their atoms.
        forces = np.array(state.getForces(asNumpy=True)._value)[: len(positions)]
        return Evaluation(energy, forces, np.array([energy]))

    def _state(self, positions: NDArray[np.float64]) -> openmm.State:
        """Return the state with energy and forces at positions (n, 3), nm.

        OpenMM's iteration of induced dipoles stalls for some small molecules, benzene among them,
        at an error of some 1e-5 Debye. The tolerance is then multiplied by ten, for all further
        geometries too, with a warning.
        """
        while True:
            try:
                return self._energy_and_forces(positions)
            except openmm.OpenMMException as error:
                if _NOT_CONVERGED not in str(error) or not self._loosen():
                    raise

    def _loosen(self) -> bool:
        """Increase the tolerance of the induced dipoles; return False if it is at its largest."""
        system = copy.deepcopy(self._context.getSystem())
        (force,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
        tolerance = 10 * force.getMutualInducedTargetEpsilon()
        if tolerance > _LARGEST_TOLERANCE:
            return False
        force.setMutualInducedTargetEpsilon(tolerance)
        _LOGGER.warning(
            "%s: the induced dipoles of the molecule in vacuum do not converge to %.0e Debye; from "
            "here on %.0e is accepted",
            self.model.name,
            tolerance / 10,
            tolerance,
        )
        platform = openmm.Platform.getPlatformByName(self.model.platform)
        self._context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        return True

    def _energy_and_forces(self, positions: NDArray[np.float64]) -> openmm.State:
        if self._n_sites:
            sites = np.zeros((self._n_sites, 3))
            self._context.setPositions(np.concatenate([positions, sites]))
            self._context.computeVirtualSites()
        else:
            self._context.setPositions(positions)
        return self._context.getState(energy=True, forces=True)


def _charge(system: openmm.System) -> float | None:
    """Return the total charge of a System in e, or None without charges and multipoles."""
    for force in system.getForces():
        if type(force) is openmm.NonbondedForce:
            parameters = (force.getParticleParameters(i) for i in range(force.getNumParticles()))
        elif type(force) is openmm.AmoebaMultipoleForce:
            parameters = (force.getMultipoleParameters(i) for i in range(force.getNumMultipoles()))
        else:
            continue
        return float(sum(charge._value for charge, *_ in parameters))
    return None


def _restore(
    key: str, text: str, name: str, platform: str, atomic_numbers: NDArray[np.int64]
) -> OpenMMEvaluator:
    known: OpenMMEvaluator | None = recall(key)
    if known is not None:
        return known
    system = openmm.XmlSerializer.deserialize(text)
    return OpenMMEvaluator(OpenMMPotential(system, name, platform), atomic_numbers)
