"""The commented settings file of a binding free energy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnpmm.core.settings.template import comment_lines, entry_lines
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.structures.inputs import AmberSystem

__all__ = ["template"]

_HEADER = """\
# Every setting of an absolute binding free energy with its default. The complex and the selection
# of its ligand are enough. Run it: nnpmm binding binding.yaml
# Quantities are written with a unit ("4 fs", "310 K") or as bare numbers in the unit named.
# Relative paths start at the folder of this file. Keys behind a # are optional."""
_SYSTEM = (
    "the complex in water; other kinds (gromacs, charmm, openmm, and build for a ligand and its "
    "protein) have the keys that nnpmm run --template shows"
)
# What the calculation is about comes before how it is sampled.
_ORDER = dict.fromkeys([*BindingSettings.__annotations__, *BindingSettings.model_fields])
_SHOWN = {
    "selection": '"resname LIG"',
    "timestep": "4 fs",
    "system.topology": "complex.prmtop",
    "system.coordinates": "complex.inpcrd",
}


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    system = AmberSystem(type="amber", topology=Path("a.prmtop"), coordinates=Path("a.inpcrd"))
    settings = BindingSettings(system=system, selection="resname LIG")
    values: dict[str, Any] = settings.model_dump(mode="json")
    blocks = [_HEADER, "\n".join(_system_lines(system))]
    for name in _ORDER:
        if name != "system":
            lines = entry_lines(BindingSettings, name, values[name], path=name, shown=_SHOWN)
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _system_lines(system: AmberSystem) -> list[str]:
    values = system.model_dump(mode="json")
    first = ("type", "topology", "coordinates")
    lines = [*comment_lines(_SYSTEM), "system:"]
    for name in dict.fromkeys([*first, *type(system).model_fields]):
        if name != "hydrogen_mass":  # that of the whole calculation counts
            lines += entry_lines(
                *(AmberSystem, name, values[name]),
                path=f"system.{name}",
                indent="  ",
                shown=_SHOWN,
            )
    return lines
