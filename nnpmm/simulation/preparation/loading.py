"""Load the MM system of a run from its settings."""

from __future__ import annotations

from nnpmm.simulation.settings.config import RunConfig
from nnpmm.structures.inputs import load_system
from nnpmm.structures.mm_system import MMSystem

__all__ = ["load_run_system"]


def load_run_system(config: RunConfig) -> MMSystem:
    """Read or build the MM system of a run.

    Raises:
        NnpmmError: see `nnpmm.structures.load_system`.
    """
    # Terms of constrained bonds are left out, and the force field's are the inner potential.
    flexible = (
        config.region.constraints == "none"
        and config.integrator.type == "respa"
        and config.integrator.inner_potential == "force-field"
    )
    return load_system(
        config.system,
        ensemble=config.ensemble.type or "NVT",
        seed=config.seed,
        constrain_hydrogens=not flexible,
    )
