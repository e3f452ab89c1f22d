"""Find the ligand among the residues of a system."""

from __future__ import annotations

from dataclasses import dataclass

from openmm import app
from openmm.app.topology import Residue

from nnpmm.core.errors import SelectionError
from nnpmm.structures.residues import candidate_ligands
from nnpmm.structures.selection import select_atoms

__all__ = ["Region", "find_region"]

_MAX_LISTED = 8


@dataclass(frozen=True)
class Region:
    """The region's selection in mdtraj's language, and the reason for it."""

    selection: str
    reason: str


def find_region(
    topology: app.Topology, *, ligand: str | None = None, selection: str | None = None
) -> Region:
    """Return the requested region, or the only ligand of the system.

    A ligand is a residue that is not bonded to another one, and neither an amino acid, a lipid,
    water nor an ion.

    Args:
        topology: topology of the system.
        ligand: residue name.
        selection: the region in mdtraj's language, in place of ``ligand``.

    Raises:
        SelectionError: no such residue, or several candidates, which the message lists.
    """
    if ligand is not None and selection is not None:
        raise SelectionError("found ligand=... and selection=...: give one of them")
    if selection is not None:
        select_atoms(topology, selection)
        return Region(selection, "as given")
    residues = (
        [r for r in topology.residues() if r.name == ligand]
        if ligand
        else candidate_ligands(topology)
    )
    if not residues:
        found = f"found no residue {ligand}" if ligand else "found no ligand in the system"
        raise SelectionError(f"{found}; {_list_candidates(candidate_ligands(topology))}")
    if len({residue.name for residue in residues}) > 1:
        raise SelectionError(f"found several possible ligands; {_list_candidates(residues)}")
    name = residues[0].name
    if len(residues) > 1:
        numbers = [str(residue.id) for residue in residues]
        listed = ", ".join(numbers[:_MAX_LISTED]) + ", ..." * (len(numbers) > _MAX_LISTED)
        raise SelectionError(
            f"found {len(residues)} residues {name} (numbers {listed}), expected one; name it with "
            f'selection=..., for example "{_quoted(name)} and resid {residues[0].index}" for the '
            "first"
        )
    reason = "as given" if ligand else "the only residue that may be a ligand"
    found = f"{name} {residues[0].id}, {len(residues[0])} atoms"
    return Region(_quoted(name), f"{found}, {reason}")


def _quoted(name: str) -> str:
    plain = name.isalnum() and name.isascii() and name[0].isalpha()
    return f"resname {name}" if plain else f"resname '{name}'"


def _list_candidates(residues: list[Residue]) -> str:
    """Return the candidates for the region, with the option that selects one."""
    counts: dict[str, list[int]] = {}
    for residue in residues:
        counts.setdefault(residue.name, []).append(len(residue))
    if not counts:
        return (
            "every residue is part of a chain, an amino acid, a lipid, water or an ion; give the "
            "region with selection=..."
        )
    listed = [
        f"{name} ({atoms[0]} atoms{f', {len(atoms)} copies' if len(atoms) > 1 else ''})"
        for name, atoms in list(counts.items())[:_MAX_LISTED]
    ]
    more = ", ..." if len(counts) > _MAX_LISTED else ""
    return f"choose with ligand=...: {', '.join(listed)}{more}"
