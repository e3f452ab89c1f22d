"""The commented settings file of a binding free energy."""

from __future__ import annotations

from pathlib import Path

from nnpmm.core.settings.template import comment_lines, commented_file, entry_lines
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.structures.inputs import AmberSystem

__all__ = ["template"]

_HEADER = """\
# Every setting of an absolute binding free energy with its default. The complex and the selection
# of its ligand are enough. Run it: nnpmm binding binding.yaml"""
_SYSTEM = (
    "the complex in water; other kinds (gromacs, charmm, openmm, and build for a ligand and its "
    "protein) have the keys that nnpmm run --template shows"
)
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
    blocks = {"system": _system_lines(system)}
    return commented_file(settings, header=_HEADER, shown=_SHOWN, blocks=blocks)


def _system_lines(system: AmberSystem) -> list[str]:
    values = system.model_dump(mode="json")
    first = ("type", "topology", "coordinates")
    lines = [*comment_lines(_SYSTEM), "system:"]
    for name in dict.fromkeys([*first, *type(system).model_fields]):
        if name != "hydrogen_mass":  # the calculation has this setting itself
            lines += entry_lines(
                *(AmberSystem, name, values[name]),
                path=f"system.{name}",
                indent="  ",
                shown=_SHOWN,
            )
    return lines
