"""Hamiltonian replica exchange with OpenMM's sampler, in a folder that survives a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.sampling.record import TEMPERATURE, ExchangeRecord
from nnpmm.sampling.state_energies import StateEnergies
from nnpmm.sampling.trajectories import Trajectories

__all__ = ["ReplicaExchange"]


class ReplicaExchange(app.ReplicaExchangeSampler):
    """Samples all states of a ladder with one replica each; the replicas exchange states.

    OpenMM's ReplicaExchangeSampler moves the replicas. This class adds the folder, energies that
    evaluate no force group twice (`nnpmm.sampling.StateEnergies`), and a seeded random generator.
    With ``exchange=False`` the replicas stay in their states, as independent windows. If the
    settings list ``sampled`` states, only these have a replica. A state with a ``temperature`` is
    sampled at this temperature; the System must not have a barostat then.

    Args:
        simulation: its positions and box are the start of all replicas; its integrator has the
            temperature.
        record: the folder; sampling continues from its checkpoint, if it has one.
        exchange: whether replicas exchange states.
        watch: called with the context after every move of a replica; an error that it raises ends
            the sampling.
        observe: called with the context after every move of a replica; returns observables (m,),
            which are recorded with the energies.

    Raises:
        ConfigError: the System lacks a parameter of a state, the integrator's temperature or time
            step differs from the settings, or there are several temperatures and a barostat.
    """

    def __init__(
        self,
        simulation: app.Simulation,
        record: ExchangeRecord,
        *,
        exchange: bool = True,
        watch: Callable[[openmm.Context], None] = lambda _: None,
        observe: Callable[[openmm.Context], NDArray[np.float64]] = lambda _: np.empty(0),
    ) -> None:
        settings = record.settings
        _check_integrator(simulation.integrator, settings.temperature, settings.timestep)
        if len(set(settings.temperatures)) > 1:
            _refuse_barostat(simulation.system)
        states = (*settings.states, *settings.evaluated)
        parameters = [{k: v for k, v in state.items() if k != TEMPERATURE} for state in states]
        self.energies = StateEnergies(simulation.context, parameters)
        super().__init__([dict(state) for state in settings.states], simulation, settings.steps)
        if settings.sampled is not None:
            self.replicaStateIndex = list(settings.sampled)
            self._previousReplicaStateIndex = list(settings.sampled)
            del self.replicaConformation[len(settings.sampled) :]
        self.record, self.exchange, self.watch, self.observe = record, exchange, watch, observe
        self._random = np.random.default_rng(settings.seed)
        #: kT of all states, (K + M,), kJ/mol.
        self.thermal_energies = GAS_CONSTANT * np.array(settings.temperatures)
        self._observables: dict[int, NDArray[np.float64]] = {}
        saved = record.checkpoint()
        #: Whether sampling continues from a checkpoint.
        self.restored = saved is not None
        if saved is not None:
            self._restore(*saved)
        self._trajectories: Trajectories | None = None
        if settings.trajectories != "none":
            self._trajectories = Trajectories(
                record.directory, settings, simulation, self.currentIteration
            )

    def _conformation(self) -> openmm.State:
        return self.simulation.context.getState(
            positions=True, velocities=True, parameters=True, integratorParameters=True
        )

    def equilibrate(
        self,
        steps: int,
        report: Callable[[int], None] | None = None,
        *,
        from_last: bool = False,
    ) -> None:
        """Equilibrate every replica in its state, and write a checkpoint.

        One replica starts from the context's positions, each other one from the end of the previous
        replica.

        Args:
            steps: for each replica.
            report: called with the number of replicas that are finished.
            from_last: begin with the last replica instead of the first.

        Raises:
            UnwritableError: the folder cannot be written.
        """
        start = self._conformation()
        order = range(len(self.replicaStateIndex))
        for done, index in enumerate(reversed(order) if from_last else order, start=1):
            self.replicaConformation[index] = start
            self.simulateReplica(index, steps)
            start = self.replicaConformation[index]
            if report is not None:
                report(done)
        self.checkpoint()

    def sample(
        self,
        iterations: int,
        *,
        checkpoint_every: int = 10,
        report: Callable[[int], None] | None = None,
    ) -> None:
        """Sample up to a total number of iterations, including those of earlier calls and runs.

        Args:
            iterations: total number.
            checkpoint_every: iterations between checkpoints.
            report: called with the number of finished iterations.

        Raises:
            SimulationError: an energy is not finite.
            UnwritableError: the folder cannot be written.
        """
        while self.currentIteration < iterations:
            table = np.array([self._move(index) for index in range(len(self.replicaStateIndex))])
            self._append(table)
            self.currentIteration += 1
            if self.exchange:
                self._exchange(table)
            if self.currentIteration % checkpoint_every == 0 or self.currentIteration == iterations:
                self.checkpoint()
            if report is not None:
                report(self.currentIteration)

    def _move(self, index: int) -> NDArray[np.float64]:
        """Move a replica, and return its energies (K + M,) in all states, kJ/mol."""
        self.simulateReplica(index)
        self.watch(self.simulation.context)
        self._observables[index] = self.observe(self.simulation.context)
        energies = self.energies.evaluate()
        if not np.isfinite(energies).all():
            state = self.replicaStateIndex[index]
            raise SimulationError(
                f"iteration {self.currentIteration + 1}: the energy of the replica in state "
                f"{state} is not finite; equilibrate longer or use a smaller time step"
            )
        return energies

    def _append(self, table: NDArray[np.float64]) -> None:
        """Record an iteration from the energies of all replicas in all states."""
        order = np.argsort(self.replicaStateIndex)  # the replica in each state
        periodic = self.simulation.system.usesPeriodicBoundaryConditions()
        volumes = np.array(
            [
                state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3) if periodic else 0.0
                for state in self.replicaConformation
            ]
        )
        observables = np.array([self._observables[index] for index in order.tolist()])
        self.record.append(table[order], volumes[order], order.astype(np.int64), observables)
        if self._trajectories is not None:
            self._trajectories.write(
                self.currentIteration + 1, self.replicaConformation, self.replicaStateIndex
            )

    def _exchange(self, table: NDArray[np.float64]) -> None:
        """Exchange the states of random pairs of replicas by the Metropolis criterion.

        K^3 attempts in each iteration cost nothing and mix well: Chodera and Shirts, J. Chem. Phys.
        2011, 135, 194110.
        """
        states, count = self.replicaStateIndex, len(self.replicaStateIndex)
        if count < 2:
            return
        reduced = table / self.thermal_energies
        pairs = self._random.integers(count, size=(count**3, 2)).tolist()
        bounds = np.log(self._random.random(count**3)).tolist()
        for (i, j), bound in zip(pairs, bounds, strict=True):
            a, b = states[i], states[j]
            change = reduced[i, b] + reduced[j, a] - reduced[i, a] - reduced[j, b]
            if bound < -change:  # nothing happens to a replica that is paired with itself
                states[i], states[j] = b, a

    def checkpoint(self) -> None:
        """Write a checkpoint: iterations so far are not lost if the process is killed.

        Raises:
            UnwritableError: the folder cannot be written.
        """
        arrays = {
            "states": np.array(self.replicaStateIndex, dtype=np.int64),
            # The velocities belong to the temperatures of the states before the exchange.
            "previous": np.array(self._previousReplicaStateIndex, dtype=np.int64),
        }
        for name, read in _ARRAYS.items():
            arrays[name] = np.array([read(state) for state in self.replicaConformation])
        if self._trajectories is not None:
            self._trajectories.sync()
        record = {"iteration": self.currentIteration, "random": self._random.bit_generator.state}
        self.record.save_checkpoint(arrays, record)

    def _restore(self, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> None:
        context = self.simulation.context
        for index in range(len(self.replicaStateIndex)):
            context.setPeriodicBoxVectors(*arrays["boxes"][index])
            context.setPositions(arrays["positions"][index])
            context.setVelocities(arrays["velocities"][index])
            self.replicaConformation[index] = self._conformation()
        self.replicaStateIndex[:] = arrays["states"].tolist()
        self._previousReplicaStateIndex[:] = arrays.get("previous", arrays["states"]).tolist()
        self.currentIteration = int(record["iteration"])
        self._random.bit_generator.state = record["random"]


_BAROSTATS = (
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.MonteCarloFlexibleBarostat,
)
_ARRAYS: dict[str, Callable[[openmm.State], Any]] = {
    "positions": lambda state: state.getPositions(asNumpy=True)._value,
    "velocities": lambda state: state.getVelocities(asNumpy=True)._value,
    "boxes": lambda state: state.getPeriodicBoxVectors(asNumpy=True)._value,
}


def _check_integrator(integrator: openmm.Integrator, temperature: float, timestep: float) -> None:
    found = integrator.getTemperature().value_in_unit(unit.kelvin)
    step = integrator.getStepSize().value_in_unit(unit.picosecond)
    if abs(found - temperature) > 1e-6 or abs(step - timestep) > 1e-9:
        raise ConfigError(
            f"found an integrator of {found:g} K and {step:g} ps, and settings of {temperature:g} "
            f"K and {timestep:g} ps; give both the same"
        )


def _refuse_barostat(system: openmm.System) -> None:
    for force in system.getForces():
        if isinstance(force, _BAROSTATS):
            raise ConfigError(
                "found states of several temperatures and a barostat; sample them at constant "
                "volume"
            )
