"""Conformers by Confab, Open Babel's systematic generator, an optional package."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from nnpmm.core.errors import OptionalDependencyError, SimulationError
from nnpmm.structures.ligands.programs import find_program, last_line, run_program

__all__ = ["confab_conformers"]

_TIME_LIMIT = 3600.0  # s
# As T. Gogineni et al. (NeurIPS 2020) called it: no energy cutoff, hardly any by distance.
_OPTIONS = ("--ecutoff", "100000000.0", "--rcutoff", "0.001")


def confab_conformers(molecule: Chem.Mol, count: int) -> NDArray[np.float64]:
    """Return conformers (k, n, 3), nm, by Confab, which are not relaxed.

    N. M. O'Boyle et al., J. Cheminform. 2011, 3, 8. Confab turns the torsions of the given
    conformer systematically and ends at the given number, without a cutoff of energy.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        count: the most conformers.

    Raises:
        OptionalDependencyError: Open Babel is not installed.
        SimulationError: it failed.
    """
    program = find_program("obabel")
    if program is None:
        raise OptionalDependencyError(
            "found no program obabel for the generator confab; install it with: "
            "pip install openbabel-wheel"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Chem.MolToMolFile(molecule, str(folder / "start.sdf"))
        arguments = ["start.sdf", "-O", "found.sdf", "--confab", "--conf", str(count), *_OPTIONS]
        finished = run_program(program, arguments, folder, time_limit=_TIME_LIMIT)
        with rdBase.BlockLogs():
            found = _read(folder / "found.sdf")
    if finished.status != 0 or not found:
        raise SimulationError(
            f"Confab found no conformers ({last_line(finished.output)}); use the generator etkdg"
        )
    return 0.1 * np.array([copy.GetConformer().GetPositions() for copy in found])


def _read(path: Path) -> list[Chem.Mol]:
    if not path.exists():
        return []
    supplier = Chem.SDMolSupplier(str(path), removeHs=False, sanitize=False)
    return [molecule for molecule in supplier if molecule is not None]
