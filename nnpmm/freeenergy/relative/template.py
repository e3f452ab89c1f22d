"""The commented settings file of relative binding free energies."""

from __future__ import annotations

from nnpmm.core.settings.template import commented_file
from nnpmm.freeenergy.relative.settings import RelativeSettings

__all__ = ["template"]

_HEADER = """\
# Every setting of relative binding free energies with its default. The first three are enough.
# Run it: nnpmm binding-relative edges.yaml"""
_SHOWN = {
    "protein": "protein.pdb",
    "ligands": "ligands.sdf",
    "edges": "[[A, B], [B, C], [A, C]]",
    "measured": "{A: 96 nM, B: 0.84 uM}",
    "timestep": "4 fs",
}


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    required = {"protein": "protein.pdb", "ligands": "ligands.sdf", "edges": [["A", "B"]]}
    settings = RelativeSettings.model_validate(required)
    return commented_file(settings, header=_HEADER, shown=_SHOWN)
