"""Solutes with a net charge: their settings, and the finite-size correction of their results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.region_charge import charges_of
from nnpmm.freeenergy.constraints import constrained_positions
from nnpmm.freeenergy.finite_size import (
    FiniteSizeCorrection,
    cavity_radii,
    finite_size_correction,
)
from nnpmm.freeenergy.legs import require_network_of_ions
from nnpmm.freeenergy.solvation.preparation import Prepared
from nnpmm.freeenergy.solvation.settings import SolvationSettings
from nnpmm.structures import MMSystem
from nnpmm.structures.ligands.source import read_molecule_alone

__all__ = ["PERMITTIVITIES", "correct_for_box", "settings_for_solute"]

#: Static relative permittivities of water models at 298 K: TIP3P and SPC/E from Hochtl, Boresch,
#: Bitomsky and Steinhauser, J. Chem. Phys. 1998, 109, 4927 (97 ± 7 and 68 ± 6); TIP3P-FB and
#: TIP4P-FB from Wang, Martinez and Pande, J. Phys. Chem. Lett. 2014, 5, 1885; OPC from Izadi,
#: Anandakrishnan and Onufriev, J. Phys. Chem. Lett. 2014, 5, 3863; OPC3 from Izadi and Onufriev, J.
#: Chem. Phys. 2016, 145, 074501.
PERMITTIVITIES = {
    "tip3p": 97.0,
    "spce": 68.0,
    "tip3pfb": 81.3,
    "tip4pfb": 77.3,
    "opc": 78.4,
    "opc3": 78.4,
}


def settings_for_solute(settings: SolvationSettings) -> SolvationSettings:
    """Return the settings with the states that the solute's charge requires.

    Raises:
        RegionError: the solute's charge differs from the given one, or the network does not support
            it.
        ConfigError: the permittivity of the solvent is needed and not known.
        NnpmmError: the molecule cannot be read.
    """
    charge = Chem.GetFormalCharge(read_molecule_alone(settings.solute, settings.seed))
    if settings.solute.charge not in (None, charge):
        raise RegionError(
            f"found a solute with a charge of {charge:+d} e, allowed: {settings.solute.charge:+d} "
            "e, as solute.charge says; correct its hydrogens and formal charges, or the setting"
        )
    if charge:
        require_network_of_ions(settings, charge)
        if settings.decouples:
            _permittivity(settings, charge)
    ladder = settings.ladder
    filled = ladder.model_copy(update={"electrostatics": ladder.charge_factors(charge)})
    return settings.model_copy(update={"ladder": filled})


def correct_for_box(
    settings: SolvationSettings, prepared: Prepared, volumes: NDArray[np.float64]
) -> FiniteSizeCorrection | None:
    """Return the finite-size correction of the solvation free energy; None for a neutral solute.

    Args:
        settings: settings of the calculation.
        prepared: the solute in its solvent.
        volumes: of the box at full interaction, nm^3.

    Raises:
        ConfigError: the permittivity of the solvent is not known.
    """
    charge, parameters = Chem.GetFormalCharge(prepared.molecule), prepared.parameters
    if charge == 0 or not settings.decouples:
        return None
    box = prepared.box
    assert box.ligand_atoms is not None  # the box was built around it
    return finite_size_correction(
        *(parameters.charges, box.positions[box.ligand_atoms]),
        cavity_radii(parameters.sigma, parameters.epsilon),
        volumes,
        permittivity=_permittivity(settings, charge),
        solvent=_discrete_solvent(box),
        seed=settings.seed,
    )


def _permittivity(settings: SolvationSettings, charge: int) -> float:
    solvent = settings.solvent
    known = PERMITTIVITIES.get(solvent.water_model or "")
    if solvent.permittivity is None and known is None:
        raise ConfigError(
            f"found a solute with a charge of {charge:+d} e in {solvent.label}, whose permittivity "
            "is not known; set solvent.permittivity to that of the solvent's force field, which "
            "the correction for the size of the box needs"
        )
    return solvent.permittivity or known or 0.0


def _discrete_solvent(box: MMSystem) -> tuple[int, float] | None:
    """Return the number of solvent molecules, and the second moment of each; see `finite_size`.

    None if a molecule has several Lennard-Jones sites: the second moment depends on which of them
    is the origin.
    """
    assert box.ligand_atoms is not None
    solute = set(box.ligand_atoms.tolist())
    molecules = [[atom.index for atom in residue.atoms()] for residue in box.topology.residues()]
    solvent = [atoms for atoms in molecules if solute.isdisjoint(atoms)]
    first, force = solvent[0], find_nonbonded_force(box.system)
    sites = [atom for atom in first if force.getParticleParameters(atom)[2]._value > 0]
    if len(sites) != 1:
        return None
    positions = constrained_positions(box.system, box.positions)
    from_site = positions[first] - positions[sites[0]]
    return len(solvent), float(charges_of(force, first) @ (from_site**2).sum(axis=1))
