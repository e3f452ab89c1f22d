"""The solute in its solvent: a prepared box, or one that is built of the solvent's molecule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.legs import compressed_box
from nnpmm.freeenergy.polarizable.ladders import load_box
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.structures import MMSystem
from nnpmm.structures.inputs import LONG_VDW_CUTOFF, dissolve_tinker

__all__ = ["LOOSE_BOX", "prepare_box"]

#: Tinker coordinates of a box before its compression, in the folder of a calculation.
LOOSE_BOX = "box.xyz"


def prepare_box(
    settings: AmoebaSolvationSettings,
    directory: Path,
    report: Callable[[int, int], None] = lambda *_: None,
) -> MMSystem:
    """Return the solute in its solvent, with the solute's atoms as ``ligand_atoms``.

    A box that is built is compressed with the force field once, and stored in the folder.

    Args:
        settings: settings of the calculation.
        directory: of the calculation.
        report: called with the time of the compression that is done, and the total, ps.

    Raises:
        SimulationError: the solvent is no liquid as built.
        NnpmmError: see `nnpmm.freeenergy.polarizable.ladders.load_box` and
            `nnpmm.structures.inputs.dissolve_tinker`.
    """
    solvent = settings.solvent
    if solvent is None:
        return load_box(settings)
    packed = dissolve_tinker(
        settings.system, solvent.xyz, padding=solvent.padding, seed=settings.seed
    )
    path = directory / LOOSE_BOX
    write_atomically(path, packed.text)
    system = settings.system.model_copy(update={"xyz": path})
    solute = f"index 0 to {packed.n_solute - 1}"
    loose = load_box(settings.model_copy(update={"system": system, "solute": solute}))
    return compressed_box(
        *(settings, directory, loose),
        time=solvent.equilibration,
        typical=packed.typical,
        cutoff=settings.system.vdw_cutoff or LONG_VDW_CUTOFF,
        inner_timestep=settings.inner_timestep,
        report=report,
    )
