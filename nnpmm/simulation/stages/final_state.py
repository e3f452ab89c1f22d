"""The final output of a run: the last structure and the report."""

from __future__ import annotations

from pathlib import Path

import openmm
from openmm import app, unit

from nnpmm.analysis import Observations
from nnpmm.simulation.record import storage
from nnpmm.simulation.record.energy_log import RegionMonitor
from nnpmm.simulation.record.files import writing
from nnpmm.simulation.report import write_report
from nnpmm.simulation.stages.dynamics import Snapshot

__all__ = ["FINAL", "REPORT", "remove_final", "write_final"]

FINAL, REPORT = "final.pdb", "report.png"


def remove_final(directory: Path) -> None:
    """Delete the last structure and the report of a run that continues."""
    with writing(directory):
        for name in (FINAL, "final.cif", REPORT):
            (directory / name).unlink(missing_ok=True)


def write_final(
    topology: app.Topology,
    directory: Path,
    log: Path,
    state: Snapshot,
    monitor: RegionMonitor,
    observed: Observations | None = None,
    note: str = "",
) -> None:
    """Write the last structure and the report.

    Args:
        topology: of the system; it is not changed.
        directory: folder of the run.
        log: its CSV log.
        state: the last one, molecules whole.
        monitor: of the region, which is drawn.
        observed: observables of the region along the trajectory, if there is one.
        note: a line above the report.

    Raises:
        SimulationError: a file cannot be written, or the log is damaged.
    """
    topology = _topology_in(topology, state)
    storage.write_structure(directory, "final", topology, state.positions)
    positions = monitor.whole(state.positions, state.box)
    atoms = list(topology.atoms())
    elements = [atoms[i].element.symbol for i in monitor.atoms.tolist()]
    figures = (log, positions, elements, monitor.bonds)
    write_report(directory / REPORT, *figures, observed=observed, title=note)


def _topology_in(topology: app.Topology, state: Snapshot) -> app.Topology:
    """Return a topology with the box of a state, without changing the caller's."""
    if state.box is None:
        return topology
    copied = app.Modeller(topology, state.positions).topology
    copied.setPeriodicBoxVectors([openmm.Vec3(*row) for row in state.box] * unit.nanometer)
    return copied
