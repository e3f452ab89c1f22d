"""The complex, and its ligand alone in water."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rdkit import Chem

from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.region_charge import CHARGE_ROUNDING, charges_of
from nnpmm.freeenergy.binding.parts import in_new_water
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.integrators import apply_hydrogen_mass, surroundings_limit
from nnpmm.structures import MMSystem, load_system, molecule_from_file, select_atoms
from nnpmm.structures.bonds import parted_bonds

__all__ = ["ligand_in_water", "load_complex"]


def load_complex(settings: BindingSettings) -> MMSystem:
    """Return the complex with the atoms of its ligand, and masses for the time step.

    Raises:
        NnpmmError: see `nnpmm.structures.load_system` and `nnpmm.structures.select_atoms`.
        ForceFieldError: the complex is in no box of water.
        RegionError: the ligand is no whole molecule, or has a net charge.
        ConfigError: the time step is too long for its constraints.
    """
    if settings.system.type == "build" and settings.system.ligand is not None:
        # Before the calculation of the ligand's parameters, which may take minutes.
        _refuse_charge(Chem.GetFormalCharge(molecule_from_file(settings.system.ligand)))
    mm = load_system(settings.system, ensemble="NPT", seed=settings.seed)
    ligand = mm.ligand_atoms
    if settings.selection is not None:
        ligand = select_atoms(mm.topology, settings.selection)
    assert ligand is not None  # the settings ask for a selection where nothing was built
    if mm.box_vectors is None:
        raise ForceFieldError(
            "found a complex without a periodic box, allowed: a complex in explicit water"
        )
    _, cut = parted_bonds(mm.system, mm.topology, set(ligand.tolist()))
    if cut:
        raise RegionError(
            f"the ligand's selection cuts the bond between atoms {cut[0][0]} and {cut[0][1]}; "
            "select whole molecules"
        )
    own = [*ligand.tolist(), *attached_sites(mm.system, set(ligand.tolist())).tolist()]
    _refuse_charge(float(charges_of(find_nonbonded_force(mm.system), own).sum()))
    apply_hydrogen_mass(mm.system, mm.topology, settings.hydrogen_mass)
    limit = surroundings_limit(mm.system, mm.topology)
    if settings.timestep > limit.longest * (1 + 1e-6):
        raise ConfigError(
            f"timestep: found {settings.timestep * 1000:g} fs, the limit is "
            f"{limit.longest * 1000:g} fs: {limit.reason}; use a shorter one, or constrain bonds "
            "to hydrogen"
        )
    return replace(mm, ligand_atoms=np.asarray(ligand, dtype=np.int64))


def _refuse_charge(charge: float) -> None:
    if abs(charge) > CHARGE_ROUNDING:
        raise RegionError(
            f"found a ligand with a charge of {charge:+.3g} e, allowed: neutral ligands, since the "
            "free energies of a net charge depend on the size of the box, both in water and in "
            "the complex"
        )


def ligand_in_water(settings: BindingSettings, mm: MMSystem) -> MMSystem:
    """Return the ligand of a complex in a box of the complex's water.

    Args:
        settings: settings of the calculation.
        mm: the complex.

    Raises:
        NnpmmError: see `nnpmm.freeenergy.binding.parts.in_new_water`.
    """
    assert mm.ligand_atoms is not None  # the complex was loaded with them
    return in_new_water(mm, mm.ligand_atoms, padding=settings.padding)
