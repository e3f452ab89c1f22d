"""Initial settings for given files, as written by ``nnpmm init``."""

from nnpmm.simulation.starter.files import recognize
from nnpmm.simulation.starter.ligand import find_region
from nnpmm.simulation.starter.settings import write_settings

__all__ = ["find_region", "recognize", "write_settings"]
