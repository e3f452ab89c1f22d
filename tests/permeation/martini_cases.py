"""Small systems that several tests of the permeation module share."""

import shutil

import pytest

from nnpmm.permeation.martini import parse_solute
from nnpmm.permeation.martini.builder import build_bilayer, insert_solute
from nnpmm.permeation.martini.engines import Restraint, Stage

needs_gmx = pytest.mark.skipif(shutil.which("gmx") is None, reason="gmx is not on the PATH")

STAGE = Stage(
    name="short",
    length=60.0,
    timestep=0.02,
    ensemble="NPT",
    relaxing=True,
    frame_interval=4.0,
    restraint=Restraint(),
    seed=7,
)


def membrane(lipid="DPPC", solute="C1-C3-P4"):
    """Return a small bilayer with a solute at its midplane."""
    return insert_solute(
        *build_bilayer({lipid: 16}, waters_per_lipid=6), parse_solute(solute), seed=2
    )
