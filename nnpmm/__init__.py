"""nnpmm: hybrid neural-network-potential / molecular-mechanics simulation on OpenMM."""

from nnpmm._version import __version__

__all__ = ["__version__"]
