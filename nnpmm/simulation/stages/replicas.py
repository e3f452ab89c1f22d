"""The production of replicas that exchange states: windows, temperatures, scales of the region."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app

from nnpmm.core.time_steps import count_steps
from nnpmm.sampling import (
    ExchangeRecord,
    ExchangeSettings,
    ReplicaExchange,
    UmbrellaVariable,
    create_umbrella,
    scale_region,
    scaling_states,
    separate_groups,
    umbrella_states,
    unbiased_state,
)
from nnpmm.sampling.record import TEMPERATURE
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.record.storage import EXCHANGE
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.sampling_config import (
    RegionScalingConfig,
    TemperaturesConfig,
    UmbrellaConfig,
)
from nnpmm.simulation.stages.dynamics import Recorder
from nnpmm.simulation.stages.progress import Status
from nnpmm.simulation.stages.stages import Stage, stage_seed
from nnpmm.simulation.stages.variables import (
    observed_values,
    run_variables,
    umbrella_variables,
)

__all__ = ["ReplicaLoop", "Replicas"]


class _Stopped(Exception):
    """A signal came between two iterations, or in the equilibration."""


@dataclass
class _Simulated:
    """What OpenMM's ReplicaExchangeSampler needs of a Simulation."""

    topology: app.Topology
    system: openmm.System
    integrator: openmm.Integrator
    context: openmm.Context


class Replicas:
    """The states of a run's replicas.

    Args:
        prepared: the hybrid system.
        settings: of the run.
        sampling: what they say of replica exchange.

    Raises:
        NnpmmError: variables that are not there or cannot be restrained.
    """

    def __init__(
        self,
        prepared: PreparedSystem,
        settings: ProtocolConfig,
        sampling: UmbrellaConfig | TemperaturesConfig | RegionScalingConfig,
    ) -> None:
        self.sampling, self._settings, self._prepared = sampling, settings, prepared
        self.variables = run_variables(prepared.mm, settings)
        #: Whether replicas exchange their states.
        self.exchange = True
        self._umbrella: list[UmbrellaVariable] = []
        if isinstance(sampling, UmbrellaConfig):
            self._umbrella = umbrella_variables(sampling, self.variables)
            self.exchange = sampling.exchange
        self.steps = count_steps(sampling.interval, settings.timestep)
        self.states, self.evaluated = self._states()

    def _states(self) -> tuple[tuple[dict[str, float], ...], tuple[dict[str, float], ...]]:
        sampling, temperature = self.sampling, self._settings.ensemble.temperature
        if isinstance(sampling, UmbrellaConfig):
            return umbrella_states(self._umbrella), (unbiased_state(self._umbrella),)
        if isinstance(sampling, TemperaturesConfig):
            ladder = np.geomspace(temperature, sampling.highest, sampling.count)
            return tuple({TEMPERATURE: value} for value in ladder.tolist()), ()
        return scaling_states(temperature, sampling.highest, sampling.count), ()

    def add_to(self, system: openmm.System) -> None:
        """Add the forces in which the states differ to a System, in place.

        Raises:
            ForceFieldError: the region cannot be scaled.
        """
        if self._umbrella:
            system.addForce(create_umbrella(self._umbrella))
        if isinstance(self.sampling, RegionScalingConfig):
            scale_region(system, self._prepared.hybrid.region.atoms.tolist())
        separate_groups(system, set(self.states[0]) - {TEMPERATURE})

    def record(self, directory: Path, fingerprint: str, seed: int) -> ExchangeRecord:
        """Return the folder of the replicas; a run in it continues.

        Raises:
            ConfigError: it was started with other settings.
        """
        settings, output = self._settings, self._settings.output
        every = max(1, round(output.trajectory_interval / self.sampling.interval))
        return ExchangeRecord(
            directory,
            ExchangeSettings(
                states=self.states,
                evaluated=self.evaluated,
                trajectories=self.sampling.trajectory,
                trajectory_every=every,
                temperature=settings.ensemble.temperature,
                timestep=settings.timestep,
                steps=self.steps,
                n_atoms=len(self._prepared.mm.positions),
                observables=tuple(self.variables),
                seed=seed,
                fingerprint=fingerprint,
            ),
            resume=True,
        )


class ReplicaLoop:
    """Moves replicas through a production, in place of `StageLoop`.

    Args:
        context: of the stage, with the System that `Replicas.add_to` has changed.
        stage: the production.
        recorder: writes the output.
        replicas: their states.
        topology: of the system.
    """

    def __init__(
        self,
        context: openmm.Context,
        stage: Stage,
        recorder: Recorder,
        replicas: Replicas,
        topology: app.Topology,
    ) -> None:
        self.context, self._stage, self._recorder = context, stage, recorder
        self._replicas, self._clock, self._done = replicas, 0.0, 0
        record = replicas.record(
            recorder.directory / EXCHANGE,
            recorder.settings_sha256,
            stage_seed(recorder.settings.seed, stage, 3),
        )
        self._sampler = ReplicaExchange(
            _Simulated(topology, context.getSystem(), context.getIntegrator(), context),
            record,
            exchange=replicas.exchange,
            observe=lambda context: observed_values(context, replicas.variables),
        )

    def run(self) -> int:
        """Go to the end of the production, or to a signal, with a checkpoint; return the steps.

        Raises:
            SimulationError: an energy is no longer finite, or OpenMM stopped.
        """
        sampler, replicas, dt = self._sampler, self._replicas, self._recorder.settings.timestep
        total = self._stage.n_steps // replicas.steps
        interval = self._recorder.settings.output.checkpoint_interval
        every = max(1, round(interval / replicas.sampling.interval))
        self._started, self._first = time.perf_counter(), sampler.currentIteration
        try:
            if not sampler.restored:
                steps = count_steps(replicas.sampling.equilibrate, dt)
                sampler.equilibrate(steps, self._equilibrated)
                self._started = time.perf_counter()
            sampler.sample(total, checkpoint_every=every, report=self._sampled)
        except _Stopped:
            pass
        else:
            self._take_first_state()
        return int(sampler.currentIteration) * replicas.steps

    def _equilibrated(self, done: int) -> None:
        if self._recorder.stop:
            # The equilibration is not stored; a continuation repeats it.
            raise _Stopped
        length = self._replicas.sampling.equilibrate
        count = len(self._replicas.states)
        status = Status("equilibration of replicas", done * length, count * length)
        self._recorder.display.update(status)

    def _sampled(self, done: int) -> None:
        interval = self._replicas.sampling.interval
        elapsed = time.perf_counter() - self._started
        count = len(self._replicas.states)
        total = self._stage.n_steps // self._replicas.steps
        rate = (done - self._first) / elapsed if elapsed > 0 else None
        self._recorder.display.update(
            Status(
                f"{self._stage.name}, {count} replicas",
                done * interval,
                total * interval,
                ns_per_day=None if rate is None else rate * interval * count * 86.4,
                remaining_s=None if not rate else (total - done) / rate,
            )
        )
        if self._recorder.stop and done < total:
            self._sampler.checkpoint()
            raise _Stopped

    def _take_first_state(self) -> None:
        """Give the context the replica in the first state, and its parameters."""
        sampler = self._sampler
        index = sampler.replicaStateIndex.index(0)
        self.context.setState(sampler.replicaConformation[index])
        sampler.energies.apply(0)
