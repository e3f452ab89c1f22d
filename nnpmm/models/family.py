"""The interface of a family of models, through which `nnpmm.load_model` finds models by name."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from nnpmm.models.protocol import Potential

__all__ = ["ModelFamily"]


@runtime_checkable
class ModelFamily(Protocol):
    """Models that are loaded in the same way: ANI, TorchScript files, the models of openmm-ml.

    A package adds its own family with an entry point in the group ``nnpmm.models`` that names an
    object with these methods. Importing it should be fast: only `load` needs torch and weights.
    """

    @property
    def options(self) -> tuple[str, ...]:
        """The keyword arguments that `load` takes."""

    @property
    def accepts(self) -> str:
        """A short description of the names that the family accepts, for error messages."""

    def names(self) -> tuple[str, ...]:
        """Return the names that can be listed; none where the names are those of files."""

    def recognizes(self, name: str) -> bool:
        """Return whether a name or a path is one that this family loads."""

    def load(self, name: str, **options: Any) -> Potential:
        """Return the model of a name that the family recognizes.

        Args:
            name: as given to `nnpmm.load_model`.
            options: those that the caller chose, all of them in `options`.
        """
