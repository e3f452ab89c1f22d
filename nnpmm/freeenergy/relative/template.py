"""The commented settings file of relative binding free energies."""

from __future__ import annotations

from nnpmm.core.settings.template import entry_lines
from nnpmm.freeenergy.relative.settings import RelativeSettings

__all__ = ["template"]

_HEADER = """\
# Every setting of relative binding free energies with its default. The first three are enough.
# Run it: nnpmm binding-relative edges.yaml
# Quantities are written with a unit ("4 fs", "310 K") or as bare numbers in the unit named.
# Relative paths start at the folder of this file. Keys behind a # are optional."""
# What the calculation is about comes before how it is sampled.
_ORDER = dict.fromkeys([*RelativeSettings.__annotations__, *RelativeSettings.model_fields])
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
    values = RelativeSettings.model_validate(required).model_dump(mode="json")
    blocks = [
        "\n".join(entry_lines(RelativeSettings, name, values[name], path=name, shown=_SHOWN))
        for name in _ORDER
    ]
    return "\n\n".join([_HEADER, *blocks]) + "\n"
