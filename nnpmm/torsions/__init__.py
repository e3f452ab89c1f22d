"""Relaxed torsion scans with networks and force fields, and torsion terms refitted to them."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.torsions.bonds import (
        RotatableBond,
        bond_from_text,
        bond_of_torsion,
        find_rotatable_bonds,
        rotatable_bond,
    )
    from nnpmm.torsions.fitting import Refit, fit_torsions
    from nnpmm.torsions.internal import valence_terms
    from nnpmm.torsions.refit import RefitResult, run_refit
    from nnpmm.torsions.relaxation import FixedTorsions, relax_all, relax_with_fixed_torsions
    from nnpmm.torsions.report import bond_errors, flagged_bonds
    from nnpmm.torsions.scan import TorsionScan, energies_along, relax_along, scan_torsions
    from nnpmm.torsions.settings import ScanSettings
    from nnpmm.torsions.workflow import ScanResult, run_scan

__all__ = [
    "FixedTorsions",
    "Refit",
    "RefitResult",
    "RotatableBond",
    "ScanResult",
    "ScanSettings",
    "TorsionScan",
    "bond_errors",
    "bond_from_text",
    "bond_of_torsion",
    "energies_along",
    "find_rotatable_bonds",
    "fit_torsions",
    "flagged_bonds",
    "relax_all",
    "relax_along",
    "relax_with_fixed_torsions",
    "rotatable_bond",
    "run_refit",
    "run_scan",
    "scan_torsions",
    "valence_terms",
]

lazy_names(
    __name__,
    {
        "FixedTorsions": "nnpmm.torsions.relaxation",
        "Refit": "nnpmm.torsions.fitting",
        "RefitResult": "nnpmm.torsions.refit",
        "RotatableBond": "nnpmm.torsions.bonds",
        "ScanResult": "nnpmm.torsions.workflow",
        "ScanSettings": "nnpmm.torsions.settings",
        "TorsionScan": "nnpmm.torsions.scan",
        "bond_errors": "nnpmm.torsions.report",
        "bond_from_text": "nnpmm.torsions.bonds",
        "bond_of_torsion": "nnpmm.torsions.bonds",
        "energies_along": "nnpmm.torsions.scan",
        "find_rotatable_bonds": "nnpmm.torsions.bonds",
        "fit_torsions": "nnpmm.torsions.fitting",
        "flagged_bonds": "nnpmm.torsions.report",
        "relax_all": "nnpmm.torsions.relaxation",
        "relax_along": "nnpmm.torsions.scan",
        "relax_with_fixed_torsions": "nnpmm.torsions.relaxation",
        "rotatable_bond": "nnpmm.torsions.bonds",
        "run_refit": "nnpmm.torsions.refit",
        "run_scan": "nnpmm.torsions.workflow",
        "scan_torsions": "nnpmm.torsions.scan",
        "valence_terms": "nnpmm.torsions.internal",
    },
)
