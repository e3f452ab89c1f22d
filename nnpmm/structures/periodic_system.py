"""The OpenMM System of a periodic box, and checks of its input values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openmm
from openmm import app, unit

from nnpmm.core.errors import ConfigError, ForceFieldError, NnpmmError
from nnpmm.core.units import in_md_units

__all__ = ["as_force_field_error", "checked_hydrogen_mass", "periodic_system", "positive"]


def periodic_system(
    force_field: app.ForceField,
    topology: app.Topology,
    templates: dict[Any, str],
    cutoff: float,
    constrain_hydrogens: bool,
    hydrogen_mass: float | None,
) -> openmm.System:
    """Return the System of a box: PME, Lennard-Jones with its long-range correction.

    Args:
        force_field: that describes the whole topology.
        topology: with its box.
        templates: names of the templates of residues that have not just one.
        cutoff: of the direct space, nm.
        constrain_hydrogens: constrain bonds to hydrogen (water is rigid in any case).
        hydrogen_mass: of hydrogens that are not water's, amu, taken from their neighbours; None
            keeps it.

    Raises:
        ForceFieldError: a residue has no template.
        ConfigError: hydrogens are heavier than their molecule allows.
    """
    settings = {} if hydrogen_mass is None else {"hydrogenMass": hydrogen_mass}
    with as_force_field_error():
        system = force_field.createSystem(
            topology,
            nonbondedMethod=app.PME,
            nonbondedCutoff=cutoff,
            constraints=app.HBonds if constrain_hydrogens else None,
            rigidWater=True,
            residueTemplates=templates,
            **settings,
        )
    lightest = min(system.getParticleMass(i)._value for i in range(system.getNumParticles()))
    if lightest < 0:  # OpenMM accepts them: the carbon of methane has less than 4 * 3.1 amu
        raise ConfigError(
            f"found hydrogen_mass {hydrogen_mass}, which leaves an atom a mass of "
            f"{lightest:.3f} amu: choose a smaller one"
        )
    return system


def positive(name: str, value: Any, md_unit: unit.Unit, *, allow_zero: bool = False) -> float:
    """Return a number or Quantity in an MD unit, checked.

    Raises:
        ConfigError: it is not positive (or zero, if allowed) and finite.
    """
    number = in_md_units(value, md_unit)
    if not (math.isfinite(number) and (number > 0 or (allow_zero and number == 0))):
        bound = "zero or more" if allow_zero else "more than zero"
        raise ConfigError(f"found {name} {number}, allowed: {bound} {md_unit.get_name()}")
    return float(number)


def checked_hydrogen_mass(value: Any) -> float:
    """Return the mass of repartitioned hydrogens, amu.

    Raises:
        ConfigError: it is out of range.
    """
    mass = positive("hydrogen_mass", value, unit.dalton)
    if not 1.0 <= mass <= 4.1:
        raise ConfigError(
            f"found hydrogen_mass {mass}, allowed: 1 to 4.1 amu: more leaves too little mass on a "
            "methyl carbon"
        )
    return mass


@contextmanager
def as_force_field_error() -> Iterator[None]:
    """Turn exceptions of OpenMM's ForceField into an error of one line.

    Raises:
        ForceFieldError: says what it is.
    """
    try:
        yield
    except NnpmmError:
        raise
    except Exception as error:  # OpenMM raises bare Exceptions where several templates match
        text = " ".join(str(error).split())
        raise ForceFieldError(
            f"found a structure that the force field does not describe: {text}"
        ) from error
