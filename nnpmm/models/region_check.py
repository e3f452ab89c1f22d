"""Whether a model can describe a region."""

from __future__ import annotations

from nnpmm.core.errors import RegionError
from nnpmm.models.protocol import Potential
from nnpmm.structures.region import RegionSummary

__all__ = ["check_region"]

_STATE_IT = "state it with charge=..."


def check_region(summary: RegionSummary, model: Potential) -> None:
    """Check that a model can describe a region.

    Raises:
        RegionError: a covalent bond is cut, an element is unknown to the model, hydrogens are
            missing, the charge of the region is not known, or a molecule of it is charged and the
            model describes neutral molecules only.
    """
    if summary.cut_bonds and not summary.link_atoms:
        plural = "s" if len(summary.cut_bonds) > 1 else ""
        raise RegionError(
            f"the region cuts {len(summary.cut_bonds)} covalent bond{plural} "
            f"({', '.join(summary.cut_bonds[:5])}); select whole molecules, or cap "
            "single bonds with link atoms (link_atoms=...)"
        )
    links = ["H"] * len(summary.link_atoms)
    if model.elements is not None:
        unknown = sorted({*summary.symbols, *links} - set(model.elements))
        if unknown:
            raise RegionError(
                f"the region contains {', '.join(unknown)}, but {model.name} supports "
                f"{', '.join(model.elements)}; select other atoms or use another model"
            )
    if summary.without_hydrogens:
        raise RegionError(
            f"the region ({summary.formula}) seems to lack hydrogens: "
            f"{len(summary.without_hydrogens)} atoms have too few bonds "
            f"({', '.join(summary.without_hydrogens[:5])}); add all hydrogens to the structure"
        )
    if model.neutral_only:
        _check_neutral(summary, model)
    elif summary.formal_charge is None:
        raise RegionError(f"{_unknown_charge(summary)}, which {model.name} needs; {_STATE_IT}")


def _check_neutral(summary: RegionSummary, model: Potential) -> None:
    charged = [m for m in summary.molecules if m.formal_charge]
    if len(summary.molecules) > 1 and charged:
        listed = ", ".join(f"{m.residue} {m.formal_charge:+d}" for m in charged[:5])
        raise RegionError(
            f"the region contains charged molecules ({listed} e), but {model.name} describes only "
            "neutral molecules; select neutral molecules, or use a model that takes charges, such "
            "as AIMNet2"
        )
    if summary.formal_charge is None:
        raise RegionError(
            f"{_unknown_charge(summary)}, but {model.name} describes only neutral molecules; "
            f"{_STATE_IT}"
        )
    if summary.formal_charge != 0:
        raise RegionError(
            f"the region ({summary.formula}) has formal charge {summary.formal_charge:+d} "
            f"({summary.charge_source}), but {model.name} describes only neutral molecules; select "
            "a neutral molecule, or use a model that takes charges, such as AIMNet2"
        )


def _unknown_charge(summary: RegionSummary) -> str:
    """Return a message that the charge is not known, and why."""
    possible = [m.possible_charges for m in summary.molecules if m.possible_charges]
    reason = "cannot be determined from this structure"
    if possible:
        reason = (
            "is ambiguous: its bonds allow "
            f"{' or '.join(f'{charge:+d}' if charge else '0' for charge in possible[0])}"
        )
    return f"the formal charge of the region ({summary.formula}) {reason}"
