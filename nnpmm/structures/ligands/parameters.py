"""Force-field parameters of one ligand: OpenFF toolkit, AmberTools, or the rdkit-based fallback."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import get_args

import numpy as np
from rdkit import Chem

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.structures.ligands import ambertools, mmff, openff
from nnpmm.structures.ligands.gaff_lj import lennard_jones
from nnpmm.structures.ligands.molecules import check_molecule
from nnpmm.structures.ligands.protonation import unusual_protonation
from nnpmm.structures.providers import Provider

__all__ = ["LigandParameters", "parameterize"]

logger = logging.getLogger(__name__)

FALLBACK_PROVIDER = (
    "fallback: MMFF94 bond-charge-increment charges, GAFF 1.x Lennard-Jones, harmonic MMFF94 bonds "
    "and angles, MMFF94 torsions"
)

_CHARGE_ERROR = 1e-3  # e; more than the rounded increments of MMFF94 explain


@dataclass(frozen=True, eq=False)
class LigandParameters:
    """Parameters of a ligand of n atoms, in OpenMM's MD units, in the molecule's atom order.

    Attributes:
        provider: one line that says where the parameters come from.
        charges: (n,) partial charges in e; they add up to the formal charge.
        sigma: (n,) Lennard-Jones sigma in nm.
        epsilon: (n,) Lennard-Jones well depth in kJ/mol.
        lj_types: n names of Lennard-Jones types.
        bonds: (i, j, r0 in nm, k in kJ/mol/nm^2), energy k/2 (r - r0)^2.
        angles: (i, j, k, t0 in rad, k in kJ/mol/rad^2), energy k/2 (t - t0)^2.
        torsions: (i, j, k, l, periodicity, phase in rad, k in kJ/mol) along bonds i-j-k-l, energy
            k (1 + cos(periodicity w - phase)).
        impropers: as torsions, the centre first (all three terms of a SMIRNOFF trefoil) or third
            (Amber).
        choice: the provider that `parameterize` chose; None for parameters from a file.
    """

    provider: str
    charges: np.ndarray
    sigma: np.ndarray
    epsilon: np.ndarray
    lj_types: tuple[str, ...]
    bonds: tuple[mmff.Bond, ...]
    angles: tuple[mmff.Angle, ...]
    torsions: tuple[mmff.Torsion, ...]
    impropers: tuple[mmff.Torsion, ...] = ()
    choice: Provider | None = None


def parameterize(molecule: Chem.Mol, *, provider: Provider = "auto") -> LigandParameters:
    """Assign charges, Lennard-Jones and valence parameters to a ligand.

    An unusual protonation state causes a warning; the molecule is not changed.

    Args:
        molecule: one molecule of n atoms with explicit hydrogens; it needs no conformer.
        provider: ``"openff"`` uses OpenFF 2.2 with AM1-BCC charges from the OpenFF toolkit,
            ``"amber"`` GAFF2 with AM1-BCC charges from AmberTools, ``"amber-abcg2"`` the same with
            ABCG2 charges, ``"fallback"`` parameters from rdkit (good enough for an NNP region, not
            for MM production; see the page on ligand parameters), ``"auto"`` the first of
            ``"openff"``, ``"amber"`` and ``"fallback"`` that is installed. If AmberTools fails on
            the molecule, ``"auto"`` warns and uses the fallback.

    Returns:
        The parameters in the molecule's atom order.

    Raises:
        ConfigError: an unknown provider.
        InputFileError: several molecules, missing hydrogens, unpaired electrons, or (with
            AmberTools) an odd number of electrons.
        ForceFieldError: an atom without parameters (atom and element are named), a program that
            fails, or MMFF94 charges that miss the formal charge.
        OptionalDependencyError: a package that the provider needs is not installed.
    """
    if provider not in get_args(Provider):
        *others, last = (repr(name) for name in get_args(Provider))
        raise ConfigError(
            f"found the provider {provider!r}, allowed: {', '.join(others)} and {last}"
        )
    check_molecule(molecule, "the molecule", needs_conformer=False)
    unusual = unusual_protonation(molecule)
    if unusual:
        logger.warning(
            "the molecule has %s, unusual in water at pH 7; nothing is changed: give the "
            "protonation state that you mean",
            " and ".join(unusual),
        )
    parameters = _parameters_from(molecule, provider)
    logger.info("ligand parameters: %s", parameters.provider)
    return parameters


def _parameters_from(molecule: Chem.Mol, provider: Provider) -> LigandParameters:
    if provider == "openff" or (provider == "auto" and openff.is_installed()):
        return LigandParameters(**openff.openff_terms(molecule), choice="openff")
    if provider in ambertools.CHARGES:
        return LigandParameters(**ambertools.ambertools_terms(molecule, provider), choice=provider)
    if provider == "auto" and ambertools.is_installed():
        try:
            return _parameters_from(molecule, "amber")
        except ForceFieldError as error:
            logger.warning("%s; the fallback is used instead", error)
    return _fallback(molecule)


def _fallback(molecule: Chem.Mol) -> LigandParameters:
    """Return MMFF94 charges and valence terms with GAFF Lennard-Jones parameters."""
    lj_types, sigma, epsilon = lennard_jones(molecule)
    properties = mmff.mmff_properties(molecule)
    charges = mmff.bond_charges(molecule, properties)
    formal_charge = Chem.GetFormalCharge(molecule)
    if abs(charges.sum() - formal_charge) > _CHARGE_ERROR:
        raise ForceFieldError(
            f"found MMFF94 charges that add up to {charges.sum():.3f} for a molecule of charge "
            f"{formal_charge}: rdkit's MMFF94 mistypes one of its atoms; check the formal charges, "
            "or use provider='amber' or 'openff'"
        )
    charges += (formal_charge - charges.sum()) / len(charges)
    logger.warning(
        "ligand parameters are the %s. They are meant for a region that a neural network potential "
        "describes; for MM production use AM1-BCC charges (pip install nnpmm[amber])",
        FALLBACK_PROVIDER,
    )
    return LigandParameters(
        provider=FALLBACK_PROVIDER,
        charges=charges,
        sigma=sigma,
        epsilon=epsilon,
        lj_types=lj_types,
        bonds=mmff.bond_terms(molecule, properties),
        angles=mmff.angle_terms(molecule, properties),
        torsions=mmff.torsion_terms(molecule, properties),
        impropers=mmff.improper_terms(molecule, properties),
        choice="fallback",
    )
