"""The solubility-diffusion integral.

The resistance of a membrane to a solute that crosses it by diffusion is the sum over its layers
(Diamond and Katz, J. Membr. Biol. 1974, 17, 121; Marrink and Berendsen, J. Phys. Chem. 1994, 98,
4155),

    1/P = integral of exp(dG(z) / RT) / D(z) dz, from water to water,

with dG = 0 in water. Between the given heights ln(exp(dG / RT) / D) is taken as linear, which is
exact for a constant, for slopes and for steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError
from nnpmm.permeation.runs.protocol import COLDEST, HOTTEST

__all__ = ["CM2_PER_S", "CM_PER_S", "Permeability", "PermeationProfile", "permeability"]

#: In one nm/ps, and in one nm^2/ps.
CM_PER_S, CM2_PER_S = 1e5, 1e-2


@dataclass(frozen=True)
class PermeationProfile:
    """The profile of a solute across a membrane.

    Attributes:
        heights: (points,) nm, increasing. A profile that begins at 0, the midplane, is half of a
            symmetric membrane.
        free_energies: (points,) kJ/mol, zero in water.
        free_energy_errors: (points,) one standard deviation, kJ/mol.
        diffusivities: (points,) nm^2/ps.
        diffusivity_errors: (points,) one standard deviation, nm^2/ps.
        temperature: K.

    Raises:
        ConfigError: columns of different lengths, or impossible values.
    """

    heights: NDArray[np.float64]
    free_energies: NDArray[np.float64]
    free_energy_errors: NDArray[np.float64]
    diffusivities: NDArray[np.float64]
    diffusivity_errors: NDArray[np.float64]
    temperature: float

    def __post_init__(self) -> None:
        columns = {
            name: np.asarray(getattr(self, name))
            for name in list(type(self).__dataclass_fields__)
            if name != "temperature"
        }
        shapes = {column.shape for column in columns.values()}
        if len(shapes) > 1 or self.heights.ndim != 1 or len(self.heights) < 2:
            raise ConfigError(f"found columns of shapes {shapes}, expected two or more points each")
        for name, column in columns.items():
            if not np.isfinite(column).all():
                raise ConfigError(f"profile: found a value of {name} that is not finite")
        if np.any(np.diff(self.heights) <= 0):
            raise ConfigError("profile: heights must increase from row to row: sort the rows")
        if self.heights[0] > 0:
            raise ConfigError(
                f"profile: the first height is {self.heights[0]:g} nm: begin at 0, the midplane, "
                "or below it"
            )
        if np.any(self.diffusivities <= 0):
            raise ConfigError(
                f"profile: found a diffusivity of {self.diffusivities.min() * CM2_PER_S:g} cm^2/s, "
                "allowed: positive"
            )
        for name in ("free_energy_errors", "diffusivity_errors"):
            if np.any(columns[name] < 0):
                raise ConfigError(
                    f"profile: found a negative value of {name}, allowed: 0 or more, one standard "
                    "deviation"
                )
        if not COLDEST <= self.temperature <= HOTTEST:
            raise ConfigError(
                f"found a temperature of {self.temperature:g} K, allowed: {COLDEST:g} to "
                f"{HOTTEST:g} K, as water and membranes are fluid"
            )

    @property
    def is_half(self) -> bool:
        """Whether the other half is the mirror image."""
        return bool(self.heights[0] == 0.0)

    @property
    def log_resistances(self) -> NDArray[np.float64]:
        """(points,) ln[exp(dG / RT) / D], D in nm^2/ps."""
        return self.free_energies / (GAS_CONSTANT * self.temperature) - np.log(self.diffusivities)


@dataclass(frozen=True)
class Permeability:
    """The permeability of a membrane.

    Attributes:
        value: P, cm/s.
        log10: decadic logarithm of P / (cm/s).
        log10_error: one standard deviation of it.
        weights: (points,) fraction of the resistance at each point of the profile.
    """

    value: float
    log10: float
    log10_error: float
    weights: NDArray[np.float64]


def permeability(profile: PermeationProfile, *, speed_up: float = 1.0) -> Permeability:
    """Return the permeability of a profile, with its error.

    The error of ln P combines sum_i w_i sigma_i / RT from free energies, whose errors along a
    profile are correlated, with [sum_i (w_i delta_i / D_i)^2]^(1/2) from diffusivities, whose
    errors are independent; w_i = d ln(1/P) / d ln[exp(dG_i / RT) / D_i].

    Args:
        profile: of free energies and diffusivities.
        speed_up: factor by which the model diffuses too fast; D is divided by it. Martini's water
            is about 4 times too fast (Marrink et al., J. Phys. Chem. B 2007, 111, 7812).

    Raises:
        ConfigError: a factor that is not positive.
    """
    if not (np.isfinite(speed_up) and speed_up > 0):
        raise ConfigError(f"found a speed-up of {speed_up:g}, allowed: a positive number")
    logs = profile.log_resistances
    largest = float(logs.max())
    parts = np.exp(logs - largest)
    steps = np.diff(profile.heights)
    means, left, right = _logarithmic_means(parts)
    total = float(steps @ means)
    weights = np.zeros(len(parts))
    weights[:-1] += steps * left / total
    weights[1:] += steps * right / total
    log_resistance = np.log(total * (2.0 if profile.is_half else 1.0)) + largest + np.log(speed_up)
    from_energies = weights @ profile.free_energy_errors / (GAS_CONSTANT * profile.temperature)
    from_diffusion = np.linalg.norm(weights * profile.diffusivity_errors / profile.diffusivities)
    log_p = np.log(CM_PER_S) - log_resistance
    return Permeability(
        value=float(np.exp(log_p)),
        log10=float(log_p / np.log(10.0)),
        log10_error=float(np.hypot(from_energies, from_diffusion) / np.log(10.0)),
        weights=weights,
    )


def _logarithmic_means(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return L(a, b) = (b - a) / ln(b / a) of neighbours, dL / d ln a and dL / d ln b."""
    a, b = values[:-1], values[1:]
    # Exponents far below the largest vanish; their part of the resistance does, too.
    tiny = np.finfo(np.float64).tiny
    slope = np.log(np.maximum(b, tiny)) - np.log(np.maximum(a, tiny))
    flat = np.abs(slope) < 1e-5
    safe = np.where(flat, 1.0, slope)
    mean = np.where(flat, (a + b) / 2.0, (b - a) / safe)
    left = np.where(flat, a / 2.0, (mean - a) / safe)
    right = np.where(flat, b / 2.0, (b - mean) / safe)
    return mean, left, right
