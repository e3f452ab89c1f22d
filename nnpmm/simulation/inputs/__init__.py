"""Read or build the MM system that a run starts from."""

from nnpmm.simulation.inputs.loading import load_system
from nnpmm.simulation.inputs.mm_system import MMSystem
from nnpmm.simulation.inputs.openmm_xml import read_system_xml

__all__ = ["MMSystem", "load_system", "read_system_xml"]
