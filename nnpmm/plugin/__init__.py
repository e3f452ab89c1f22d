"""nnpmm's models for openmm-ml: ``MLPotential("nnpmm-ani2x")``.

The entry points under ``openmmml.potentials`` in pyproject.toml name `NetworkFactory`. openmm-ml
loads them while it is being imported, so nothing here may import openmm-ml before a potential is
created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnpmm.plugin.potential import NetworkPotential

__all__ = ["NetworkFactory"]


class NetworkFactory:
    """Creates potentials for openmm-ml; see openmm-ml's ``MLPotentialImplFactory``."""

    def createImpl(self, name: str, **arguments: Any) -> NetworkPotential:
        """Return the potential of a registered name, such as ``"nnpmm-ani2x"``.

        Args:
            name: ``"nnpmm-"`` and the name of a model.
            arguments: as for `nnpmm.load_model`: members, backend, device, precision, threads,
                weights; and charge, e, of the atoms described.

        Raises:
            ModelError: another argument.
        """
        from nnpmm.plugin.potential import NetworkPotential

        return NetworkPotential(name, arguments)
