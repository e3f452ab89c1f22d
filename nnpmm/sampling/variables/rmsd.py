"""Root-mean-square deviation from a structure, after the best superposition."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.errors import InputFileError, shortened
from nnpmm.core.fields import SettingsPath
from nnpmm.core.section import Section
from nnpmm.core.superposition import superposed_rmsd
from nnpmm.sampling.variables.geometric import GroupSetting
from nnpmm.sampling.variables.variable import Structure, Variable, VariableError

__all__ = ["Rmsd"]

_MIN_ATOMS = 3  # the best rotation of two atoms is not unique


class Rmsd(Section):
    """RMSD of selected atoms from a reference structure, nm; all atoms have equal weights."""

    type: Literal["rmsd"] = "rmsd"
    atoms: GroupSetting = Field(
        description="atoms: a selection in mdtraj's language, or 0-based indices"
    )
    reference: SettingsPath | None = Field(
        None,
        description="structure file with all atoms of the system; null: the starting structure",
    )

    def bind(self, name: str, structure: Structure) -> Variable:
        """Return the variable of a structure; see `bind_variables` for the errors."""
        atoms = structure.atoms(self.atoms, name)
        if len(atoms) < _MIN_ATOMS:
            raise VariableError(
                f"{name}: found {len(atoms)} atoms, an RMSD needs {_MIN_ATOMS} or more"
            )
        structure.require_one_molecule(atoms, name)
        reference = structure.positions
        if self.reference is not None:
            reference = _read_reference(self.reference, len(structure.masses), name)
        target = reference[atoms]

        def create_force() -> openmm.Force:
            return openmm.RMSDForce(reference, atoms.tolist())

        def evaluate(positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> float:
            return superposed_rmsd(positions[atoms], target)

        label = f"RMSD of {len(atoms)} atoms"
        return Variable(name, "nm", None, (0.0, np.inf), create_force, evaluate, label)


def _read_reference(path: Path, n_atoms: int, name: str) -> NDArray[np.float64]:
    import mdtraj

    try:
        positions = np.asarray(mdtraj.load_frame(str(path), 0).xyz[0], dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error
    if len(positions) != n_atoms:
        raise InputFileError(
            f"{path}: found {len(positions)} atoms, {name} needs all {n_atoms} of the system"
        )
    return positions
