"""Compression of a loosely packed box to a liquid, once for each calculation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.legs.sampling import create_simulation
from nnpmm.freeenergy.legs.settings import SamplingSettings
from nnpmm.sampling import compress_liquid, replace_box, require_liquid
from nnpmm.structures import MMSystem

__all__ = ["BOX", "compressed_box"]

#: Name of the file of the compressed box, in the folder of a calculation.
BOX = "box.safetensors"
# Least width of the box in units of twice the cutoff: OpenMM stops a run whose box becomes narrower
# than that. The volume of such a box fluctuates by 1 to 2 %, its width by a third of that.
_FLUCTUATION = 1.02


def compressed_box(
    settings: SamplingSettings,
    directory: Path,
    loose: MMSystem,
    *,
    time: float,
    typical: float,
    cutoff: float,
    inner_timestep: float | None = None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> MMSystem:
    """Compress a loose box to a liquid by its force field, once; store it in the folder.

    Args:
        settings: settings of the calculation.
        directory: of the calculation.
        loose: the box, packed loosely.
        time: of the compression, ps.
        typical: density of such liquids, g/ml.
        cutoff: the longest one, nm.
        inner_timestep: see `nnpmm.freeenergy.legs.Leg`.
        report: called with the time of the compression that is done, and the total, ps.

    Raises:
        SimulationError: the solvent is no liquid as built.
        ConfigError: the box of the liquid is too narrow for the cutoff.
    """
    path = directory / BOX
    if not path.exists():
        # A copy, since the simulation adds a barostat to its System.
        mm = replace_box(loose, loose.positions, np.asarray(loose.box_vectors))
        simulation = create_simulation(
            settings, mm.system, mm, settings.seed, inner_timestep=inner_timestep
        )
        found = compress_liquid(simulation, time=time, typical=typical, report=report)
        require_liquid(found, typical=typical, temperature=settings.temperature)
        state = simulation.context.getState(positions=True)
        box = state.getPeriodicBoxVectors(asNumpy=True)._value
        _check_width(float(np.diag(box).min()), cutoff)
        arrays = {"positions": state.getPositions(asNumpy=True)._value, "box_vectors": box}
        save_arrays(path, arrays, {"densities_g_ml": found.densities.tolist()})
    arrays, _ = load_arrays(path)
    return replace_box(loose, arrays["positions"], arrays["box_vectors"])


def _check_width(width: float, cutoff: float) -> None:
    least = 2 * _FLUCTUATION * cutoff
    if width < least:
        raise ConfigError(
            f"found a box of the liquid {width:.2f} nm wide, allowed with a cutoff of "
            f"{cutoff:g} nm: {least:.2f} nm or more; use a larger padding, or a shorter "
            "cutoff"
        )
