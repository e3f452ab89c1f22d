"""Which residue of a system is the ligand."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
from openmm import app

from nnpmm.core.errors import SelectionError
from nnpmm.structures.selection import select_atoms

__all__ = ["Region", "find_region"]

# Of CHARMM36, Lipid21 and Slipids.
_LIPIDS = frozenset(
    "CHL CHL1 CHOL CLOL DLPC DLPE DMPC DMPE DMPG DOPC DOPE DOPG DOPS DPPC DPPE DPPG DSPC POPC POPE "
    "POPG POPS PSM SDPC AR DHA LAL MY OL PA PC PE PGR PH- PS SA SPM ST".split()
)
_MOST_LISTED = 8


@dataclass(frozen=True)
class Region:
    """The region's selection in mdtraj's language, and why it was chosen."""

    selection: str
    reason: str


def find_region(
    topology: app.Topology, *, ligand: str | None = None, selection: str | None = None
) -> Region:
    """Return the region that is asked for, or the only ligand that there is.

    A ligand is a residue that is not bonded to another one, and neither an amino acid, a lipid,
    water nor an ion.

    Args:
        topology: of the system.
        ligand: residue name.
        selection: the region in mdtraj's language, in place of ``ligand``.

    Raises:
        SelectionError: no such residue, or several that could be meant; the message lists them.
    """
    if ligand is not None and selection is not None:
        raise SelectionError("found ligand=... and selection=...: give one of them")
    if selection is not None:
        select_atoms(topology, selection)
        return Region(selection, "as given")
    traced = mdtraj.Topology.from_openmm(topology)
    residues = [r for r in traced.residues if r.name == ligand] if ligand else _candidates(traced)
    if not residues:
        found = f"found no residue {ligand}" if ligand else "found no ligand in the system"
        raise SelectionError(f"{found}; {_offer(_candidates(traced))}")
    if len({residue.name for residue in residues}) > 1:
        raise SelectionError(f"found several possible ligands; {_offer(residues)}")
    name = residues[0].name
    if len(residues) > 1:
        numbers = [str(residue.resSeq) for residue in residues]
        listed = ", ".join(numbers[:_MOST_LISTED]) + ", ..." * (len(numbers) > _MOST_LISTED)
        raise SelectionError(
            f"found {len(residues)} residues {name} (numbers {listed}), expected one; name it with "
            f'selection=..., for example "{_quoted(name)} and resid {residues[0].index}" for the '
            "first"
        )
    reason = "as given" if ligand else "the only residue that may be a ligand"
    found = f"{name} {residues[0].resSeq}, {residues[0].n_atoms} atoms"
    return Region(_quoted(name), f"{found}, {reason}")


def _quoted(name: str) -> str:
    plain = name.isalnum() and name.isascii() and name[0].isalpha()
    return f"resname {name}" if plain else f"resname '{name}'"


def _candidates(topology: mdtraj.Topology) -> list[mdtraj.core.topology.Residue]:
    joined = set()
    for first, second in topology.bonds:
        if first.residue.index != second.residue.index:
            joined |= {first.residue.index, second.residue.index}
    return [
        residue
        for residue in topology.residues
        if residue.n_atoms > 1
        and residue.index not in joined
        and residue.name not in _LIPIDS
        and not (_is_amino_acid(residue) or _is_water(residue))
    ]


def _is_amino_acid(residue: mdtraj.core.topology.Residue) -> bool:
    """Whether a residue has a backbone; mdtraj's list of names has those of ligands as well."""
    return {"N", "CA", "C", "O"} <= {atom.name for atom in residue.atoms}


def _is_water(residue: mdtraj.core.topology.Residue) -> bool:
    symbols = sorted(atom.element.symbol for atom in residue.atoms if atom.element.atomic_number)
    return residue.is_water or symbols == ["H", "H", "O"]


def _offer(residues: list[mdtraj.core.topology.Residue]) -> str:
    """Return what can be chosen, with the option that chooses it."""
    counts: dict[str, list[int]] = {}
    for residue in residues:
        counts.setdefault(residue.name, []).append(residue.n_atoms)
    if not counts:
        return (
            "every residue is part of a chain, an amino acid, a lipid, water or an ion; give the "
            "region with selection=..."
        )
    listed = [
        f"{name} ({atoms[0]} atoms{f', {len(atoms)} copies' if len(atoms) > 1 else ''})"
        for name, atoms in list(counts.items())[:_MOST_LISTED]
    ]
    more = ", ..." if len(counts) > _MOST_LISTED else ""
    return f"choose with ligand=...: {', '.join(listed)}{more}"
