"""Two distant molecules have twice the energy of one."""

from __future__ import annotations

import numpy as np

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.models.validation.check import Check, Measurement, NotApplicable
from nnpmm.models.validation.probe import Probe

__all__ = ["SIZE_CONSISTENCY"]

_APART = 10.0  # nm; dipoles of 2 D interact by less than 1e-3 kJ/mol


def _measure(probe: Probe) -> Measurement:
    if probe.pair is None:
        raise NotApplicable("the model describes exactly these atoms")
    n = len(probe.numbers)
    both = probe.two(_APART)
    energy, forces = probe.pair(both)
    parts = [probe.evaluator(part) for part in (both[:n], both[n:])]
    excess = energy - sum(part for part, _ in parts)
    alone = np.concatenate([part for _, part in parts])
    # Models of a short range leave out the Coulomb energy of ions, others do not: both are sound.
    coulomb = COULOMB_CONSTANT * probe.charge**2 / _APART
    change = min(abs(excess), abs(excess - coulomb))
    note = f"E(2) - 2 E(1) = {excess:.2g} kJ/mol"
    note += f", forces {np.abs(forces - alone).max():.2g} kJ/mol/nm"
    return Measurement(change, note)


SIZE_CONSISTENCY = Check(
    "size consistency",
    _measure,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure=f"energy of two molecules {_APART:g} nm apart minus that of each",
    beyond="the energy of a molecule depends on how many others there are",
)
