"""The bias of a production by metadynamics, and its record."""

from __future__ import annotations

from pathlib import Path

import openmm

from nnpmm.core.errors import SimulationError
from nnpmm.core.time_steps import count_steps
from nnpmm.sampling import WellTempered
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.record.bias_log import BIAS_LOG, BiasLog, read_bias_log
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.sampling_config import MetadynamicsConfig
from nnpmm.simulation.stages.variables import bias_grids, observed_values, run_variables

__all__ = ["ProductionBias"]


class ProductionBias:
    """Metadynamics in a production: deposits Gaussians and writes ``bias.csv``.

    Args:
        prepared: the hybrid system.
        settings: of the run.
        sampling: the metadynamics section of the settings.

    Raises:
        NnpmmError: variables that do not exist or cannot be biased.
    """

    def __init__(
        self, prepared: PreparedSystem, settings: ProtocolConfig, sampling: MetadynamicsConfig
    ) -> None:
        self._sampling, self._temperature = sampling, settings.ensemble.temperature
        self._variables = run_variables(prepared.mm, settings)
        self._grids = bias_grids(sampling, self._variables, self._temperature)
        self._unbiased = {n: v for n, v in self._variables.items() if n not in sampling.widths}
        #: Steps between Gaussians.
        self.every = count_steps(sampling.interval, settings.timestep)
        self.path: Path = settings.output.directory / BIAS_LOG
        self._bias: WellTempered | None = None
        self._log: BiasLog | None = None

    def add_to(self, system: openmm.System) -> None:
        """Add the force of the bias to a System, in place."""
        self._bias = WellTempered(
            system,
            self._grids,
            temperature=self._temperature,
            bias_factor=self._sampling.bias_factor,
            height=self._sampling.height,
        )

    def begin(self) -> None:
        """Begin a new record."""
        self._log = BiasLog(self.path, tuple(self._variables), append=False)

    def resume(self, context: openmm.Context) -> None:
        """Restore the bias of a context from the record, and continue the record.

        Raises:
            SimulationError: the record is damaged or has other variables.
        """
        found = read_bias_log(self.path)
        if found.names != tuple(self._variables):
            raise SimulationError(
                f"{self.path}: found the variables {', '.join(found.names)}, expected "
                f"{', '.join(self._variables)}: restore the file, or start again with "
                "overwrite=True"
            )
        columns = [found.names.index(grid.variable.name) for grid in self._grids]
        self._metadynamics.restore(found.values[:, columns], found.heights, context)
        self._log = BiasLog(self.path, tuple(self._variables), append=True)

    def deposit(self, context: openmm.Context, step: int) -> None:
        """Add a Gaussian, and a row to the record.

        Raises:
            SimulationError: a variable is beyond the walls, or the file cannot be written.
        """
        gaussian = self._metadynamics.deposit(context)
        biased = dict(zip(self._sampling.widths, gaussian.values, strict=True))
        others = dict(zip(self._unbiased, observed_values(context, self._unbiased), strict=True))
        values = {**biased, **others}
        if self._log is None:
            raise RuntimeError("the record of the bias is not open")
        row = [values[name] for name in self._variables]
        self._log.write(step, row, gaussian.bias, gaussian.height)

    def close(self) -> None:
        """Close the record."""
        if self._log is not None:
            self._log.close()

    @property
    def _metadynamics(self) -> WellTempered:
        if self._bias is None:
            raise RuntimeError("the bias is in no System")
        return self._bias
