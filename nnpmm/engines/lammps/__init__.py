"""A network on every atom of a periodic system, with LAMMPS dividing it among MPI ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.engines.lammps.levels import apply_network
    from nnpmm.engines.lammps.mliap import create_mliap_model
    from nnpmm.engines.lammps.parallel import communicator
    from nnpmm.engines.lammps.reading import read_system
    from nnpmm.engines.lammps.record import has_run
    from nnpmm.engines.lammps.running import LammpsResult, run
    from nnpmm.engines.lammps.settings import LammpsConfig, load_config, template
    from nnpmm.engines.lammps.simulation import LammpsSimulation, create_simulation
    from nnpmm.engines.lammps.source import LammpsRun, read_run
    from nnpmm.engines.lammps.system import WholeSystem, system_from_topology

__all__ = [
    "LammpsConfig",
    "LammpsResult",
    "LammpsRun",
    "LammpsSimulation",
    "WholeSystem",
    "apply_network",
    "communicator",
    "create_mliap_model",
    "create_simulation",
    "has_run",
    "load_config",
    "read_run",
    "read_system",
    "run",
    "system_from_topology",
    "template",
]

lazy_names(
    __name__,
    {
        "LammpsConfig": "nnpmm.engines.lammps.settings",
        "LammpsResult": "nnpmm.engines.lammps.running",
        "LammpsRun": "nnpmm.engines.lammps.source",
        "LammpsSimulation": "nnpmm.engines.lammps.simulation",
        "WholeSystem": "nnpmm.engines.lammps.system",
        "apply_network": "nnpmm.engines.lammps.levels",
        "communicator": "nnpmm.engines.lammps.parallel",
        "create_mliap_model": "nnpmm.engines.lammps.mliap",
        "create_simulation": "nnpmm.engines.lammps.simulation",
        "has_run": "nnpmm.engines.lammps.record",
        "load_config": "nnpmm.engines.lammps.settings",
        "read_run": "nnpmm.engines.lammps.source",
        "read_system": "nnpmm.engines.lammps.reading",
        "run": "nnpmm.engines.lammps.running",
        "system_from_topology": "nnpmm.engines.lammps.system",
        "template": "nnpmm.engines.lammps.settings",
    },
)
