"""Parameters from the OpenFF toolkit, which is imported only when it is used."""

from __future__ import annotations

import importlib.util
from typing import Any

from rdkit import Chem

from nnpmm.core.errors import ForceFieldError, OptionalDependencyError
from nnpmm.structures.ligands.system_terms import terms_from_system

__all__ = ["OPENFF_FORCE_FIELD", "is_installed", "openff_terms"]

#: Sage 2.2 without bond constraints, so that every bond has a force constant.
OPENFF_FORCE_FIELD = "openff_unconstrained-2.2.0.offxml"

_INSTALL = "conda install -c conda-forge openff-toolkit"


def is_installed() -> bool:
    """Return whether the OpenFF toolkit can be imported."""
    if importlib.util.find_spec("openff") is None:
        return False
    return importlib.util.find_spec("openff.toolkit") is not None


def openff_terms(molecule: Chem.Mol) -> dict[str, Any]:
    """Parameterize with OpenFF 2.2 (Sage) and AM1-BCC charges.

    Args:
        molecule: one molecule of n atoms, hydrogens explicit.

    Returns:
        The fields of ``LigandParameters``.

    Raises:
        OptionalDependencyError: the toolkit is not installed.
        ForceFieldError: the toolkit cannot parameterize the molecule.

    References:
        S. Boothroyd et al., J. Chem. Theory Comput. 2023, 19, 3251 (Sage).
    """
    try:
        from openff.toolkit import ForceField, Molecule
    except ImportError as error:
        raise OptionalDependencyError(
            f"found no OpenFF toolkit, which provider='openff' needs; install it with '{_INSTALL}' "
            "or use provider='fallback'"
        ) from error
    try:
        openff_molecule = Molecule.from_rdkit(
            molecule, allow_undefined_stereo=True, hydrogens_are_explicit=True
        )
        topology = openff_molecule.to_topology()
        force_field = ForceField(OPENFF_FORCE_FIELD)
        system = force_field.create_openmm_system(topology)
        labels = force_field.label_molecules(topology)[0]["vdW"]
    except Exception as error:  # the toolkit raises many types; their text says what failed
        reason = " ".join(str(error).split())[:300]
        raise ForceFieldError(
            f"found a molecule that the OpenFF toolkit cannot parameterize: {reason}; AM1-BCC "
            "charges need AmberTools or OpenEye; or use provider='fallback'"
        ) from error
    lj_types = tuple(str(labels[(index,)].id) for index in range(molecule.GetNumAtoms()))
    provider = f"openff-toolkit: {OPENFF_FORCE_FIELD} with AM1-BCC charges"
    return {"provider": provider, "lj_types": lj_types, **terms_from_system(system, molecule)}
