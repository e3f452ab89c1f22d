"""The commented settings file of a solvation free energy."""

from __future__ import annotations

from nnpmm.core.settings.template import entry_lines
from nnpmm.freeenergy.solvation.settings import SolvationSettings

__all__ = ["template"]

_HEADER = """\
# Every setting of a solvation free energy with its default. The solute is enough.
# Run it: nnpmm solvation solvation.yaml
# Quantities are written with a unit ("4 fs", "310 K") or as bare numbers in the unit named.
# Relative paths start at the folder of this file. Keys behind a # are optional."""
# What the calculation is about comes before how it is sampled.
_ORDER = dict.fromkeys([*SolvationSettings.__annotations__, *SolvationSettings.model_fields])
_SHOWN = {"solute.smiles": "CO", "timestep": "4 fs"}


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    values = SolvationSettings.model_validate({"solute": {"smiles": "CO"}}).model_dump(mode="json")
    blocks = [
        "\n".join(entry_lines(SolvationSettings, name, values[name], path=name, shown=_SHOWN))
        for name in _ORDER
    ]
    return "\n\n".join([_HEADER, *blocks]) + "\n"
