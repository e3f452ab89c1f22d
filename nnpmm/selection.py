"""Atom selections in mdtraj's language, and how messages name an atom."""

from __future__ import annotations

import mdtraj
import numpy as np
from numpy.typing import NDArray
from openmm.app import Topology
from openmm.app.topology import Atom

from nnpmm.errors import SelectionError

__all__ = ["atom_label", "select_atoms"]


def select_atoms(topology: Topology | mdtraj.Topology, selection: str) -> NDArray[np.int64]:
    """Return the sorted 0-based indices of the atoms that a selection matches.

    Args:
        topology: an OpenMM or mdtraj topology.
        selection: mdtraj's language, for example ``"resname MOL"`` or
            ``"chainid 1 and not water"``. To take the whole system write ``"all"``.

    Raises:
        SelectionError: the text cannot be parsed, matches nothing, or matches every atom without
            being ``"all"``.
    """
    if isinstance(topology, Topology):
        topology = mdtraj.Topology.from_openmm(topology)
    try:
        atoms = np.sort(np.asarray(topology.select(selection), dtype=np.int64))
    except Exception as error:  # mdtraj raises many kinds, from the parser and from evaluation
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SelectionError(
            f"cannot read the selection {selection!r} ({reason}); expected mdtraj's language, "
            'for example "resname MOL"'
        ) from error
    if atoms.size == 0:
        raise SelectionError(f"the selection {selection!r} matches nothing; {_residues(topology)}")
    if atoms.size == topology.n_atoms and selection.strip() != "all":
        raise SelectionError(
            f"the selection {selection!r} matches all {atoms.size} atoms; narrow it, "
            'or write "all" if the whole system is meant'
        )
    return atoms


def _residues(topology: mdtraj.Topology) -> str:
    names = sorted({residue.name for residue in topology.residues})
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"residue names here: {listed}"


def atom_label(atom: Atom) -> str:
    """Return residue name, residue number and atom name, for example ``"LIG1:C7"``."""
    return f"{atom.residue.name}{atom.residue.id}:{atom.name}"
