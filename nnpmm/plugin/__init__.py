"""nnpmm's ANI models for openmm-ml: ``MLPotential("nnpmm-ani2x")``.

The entry points under ``openmmml.potentials`` in pyproject.toml name `AniFactory`. openmm-ml loads
them while it is being imported, so nothing here may import openmm-ml before a potential is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnpmm.plugin.potential import AniPotential

__all__ = ["AniFactory"]


class AniFactory:
    """What openmm-ml asks for a potential; see openmm-ml's ``MLPotentialImplFactory``."""

    def createImpl(self, name: str, **arguments: Any) -> AniPotential:
        """Return the potential of a registered name, such as ``"nnpmm-ani2x"``.

        Args:
            name: ``"nnpmm-"`` and the name of an ANI model.
            arguments: as for `nnpmm.load_model`: members, backend, device, precision, threads,
                weights.

        Raises:
            ModelError: another argument.
        """
        from nnpmm.plugin.potential import AniPotential

        return AniPotential(name, arguments)
