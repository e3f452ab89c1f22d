"""Hamiltonian replica exchange on OpenMM's sampler, in a folder that survives a crash."""

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
    """Samples all states of a ladder, one replica each, that exchange states as they go.

    OpenMM's ReplicaExchangeSampler moves the replicas. What is added is the folder, energies that
    evaluate no force group twice (`nnpmm.sampling.StateEnergies`), and random numbers of its own.
    With ``exchange`` off the replicas stay in their states: independent windows. Where the settings
    name the states that are ``sampled``, only these have a replica. States that have a
    ``temperature`` are sampled at it; the System has no barostat then.

    Args:
        simulation: positions and box are those from which all replicas start; the integrator has
            the temperature.
        record: the folder; a checkpoint in it is where sampling goes on.
        exchange: whether replicas exchange states.
        watch: is called with the context after every move of a replica, and may raise an error,
            which ends sampling.
        observe: returns the observables (m,) of the context after every move of a replica, which
            are recorded with the energies.

    Raises:
        ConfigError: states of other parameters than the System has, an integrator of another
            temperature or time step than the settings say, or several temperatures and a barostat.
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
        every = (*settings.states, *settings.evaluated)
        parameters = [{k: v for k, v in state.items() if k != TEMPERATURE} for state in every]
        self.energies = StateEnergies(simulation.context, parameters)
        super().__init__([dict(state) for state in settings.states], simulation, settings.steps)
        if settings.sampled is not None:
            self.replicaStateIndex = list(settings.sampled)
            self._previousReplicaStateIndex = list(settings.sampled)
            del self.replicaConformation[len(settings.sampled) :]
        self.record, self.exchange, self.watch, self.observe = record, exchange, watch, observe
        self._random = np.random.default_rng(settings.seed)
        #: (K + M,) of all states, kJ/mol.
        self.thermal_energies = GAS_CONSTANT * np.array(settings.temperatures)
        self._observables: dict[int, NDArray[np.float64]] = {}
        saved = record.checkpoint()
        #: Whether a checkpoint was there to go on from.
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
        """Move every replica into its state, and make a checkpoint.

        One replica starts from the positions of the context, each other one where the replica
        before it ended.

        Args:
            steps: for each replica.
            report: is called with the number of replicas that are done.
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
        """Sample until so many iterations are done, those of earlier calls and runs included.

        Args:
            iterations: in all.
            checkpoint_every: iterations between checkpoints.
            report: is called with the number of iterations done.

        Raises:
            SimulationError: an energy is not finite.
            UnwritableError: the folder cannot be written.
        """
        while self.currentIteration < iterations:
            table = np.array([self._moved(index) for index in range(len(self.replicaStateIndex))])
            self._append(table)
            self.currentIteration += 1
            if self.exchange:
                self._exchange(table)
            if self.currentIteration % checkpoint_every == 0 or self.currentIteration == iterations:
                self.checkpoint()
            if report is not None:
                report(self.currentIteration)

    def _moved(self, index: int) -> NDArray[np.float64]:
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
        """Exchange the states of random pairs of replicas by Metropolis' rule.

        Chodera and Shirts, J. Chem. Phys. 2011, 135, 194110: many attempts in one iteration cost
        nothing and mix well.
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
            if bound < -change:  # a replica paired with itself stays where it is
                states[i], states[j] = b, a

    def checkpoint(self) -> None:
        """Make all iterations so far count.

        Raises:
            UnwritableError: the folder cannot be written.
        """
        arrays = {
            "states": np.array(self.replicaStateIndex, dtype=np.int64),
            # Velocities are those of the states before the exchange.
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
