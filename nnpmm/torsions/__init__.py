"""Relaxed torsion scans with networks and force fields, and torsion terms refitted to them."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.torsions.bonds import (
        RotatableBond,
        bond_of_torsion,
        find_rotatable_bonds,
        parse_bond,
        rotatable_bond,
    )
    from nnpmm.torsions.internal import valence_terms
    from nnpmm.torsions.relaxation import Held, relax_held
    from nnpmm.torsions.scan import TorsionScan, energies_along, relax_along, scan_torsions

__all__ = [
    "Held",
    "RotatableBond",
    "TorsionScan",
    "bond_of_torsion",
    "energies_along",
    "find_rotatable_bonds",
    "parse_bond",
    "relax_along",
    "relax_held",
    "rotatable_bond",
    "scan_torsions",
    "valence_terms",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Held": "nnpmm.torsions.relaxation",
        "RotatableBond": "nnpmm.torsions.bonds",
        "TorsionScan": "nnpmm.torsions.scan",
        "bond_of_torsion": "nnpmm.torsions.bonds",
        "energies_along": "nnpmm.torsions.scan",
        "find_rotatable_bonds": "nnpmm.torsions.bonds",
        "parse_bond": "nnpmm.torsions.bonds",
        "relax_along": "nnpmm.torsions.scan",
        "relax_held": "nnpmm.torsions.relaxation",
        "rotatable_bond": "nnpmm.torsions.bonds",
        "scan_torsions": "nnpmm.torsions.scan",
        "valence_terms": "nnpmm.torsions.internal",
    },
)
