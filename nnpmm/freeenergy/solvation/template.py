"""The commented settings file of a solvation free energy."""

from __future__ import annotations

from nnpmm.core.settings.template import commented_file
from nnpmm.freeenergy.solvation.settings import SoluteSettings, SolvationSettings

__all__ = ["template"]

_HEADER = """\
# Every setting of a solvation free energy with its default. The solute is enough.
# Run it: nnpmm solvation solvation.yaml"""
_SHOWN = {"solute.smiles": "CO", "timestep": "4 fs"}


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    settings = SolvationSettings(solute=SoluteSettings(smiles="CO"))
    return commented_file(settings, header=_HEADER, shown=_SHOWN)
