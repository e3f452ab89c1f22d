"""The commented settings file of ``nnpmm run --template``, from the descriptions of the fields."""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel

from nnpmm.core.settings.template import comment_lines, entry_lines
from nnpmm.coupling.settings import CouplingConfig
from nnpmm.simulation.settings.config import ProtocolConfig, RegionConfig, RunConfig
from nnpmm.structures.inputs.sources import SystemSource

__all__ = ["template"]

_HEADER = """\
# Every setting of a hybrid NNP/MM simulation with its default. Two sections are enough, system and
# region; nnpmm init writes a short file for the files at hand. Run it: nnpmm run md.yaml
# Quantities are written with a unit ("2 fs", "310 K") or as plain numbers in the unit named.
# Relative paths start at the folder of this file. Keys behind a # are optional."""
# Examples in place of defaults, which make the template a valid file or are easier to read.
_SHOWN = {
    "region.selection": '"resname LIG"',
    "region.model": "ANI-2x",
    "timestep": "1 fs",
    "output.directory": "output",
    "system.smiles": "CC(=O)Nc1ccc(O)cc1",
}


def template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    values: dict[str, Any] = ProtocolConfig().model_dump(mode="json")
    values["ensemble"]["type"] = None  # null; the default depends on the system
    values["region"] = RegionConfig(nnpfile="model.json").model_dump(mode="json")
    values["region"]["nnpfile"] = None
    values["coupling"] = CouplingConfig().model_dump(mode="json")
    system, *others = _systems()
    blocks = [_HEADER, "\n".join(system)]
    first = ("region", "coupling")
    for name in (*first, *(n for n in RunConfig.model_fields if n not in ("system", *first))):
        blocks.append(
            "\n".join(entry_lines(RunConfig, name, values[name], path=name, shown=_SHOWN))
        )
    for block in others:
        blocks.append("\n".join(["# or, in place of the system above:", *_commented_out(block)]))
    return "\n\n".join(blocks) + "\n"


def _systems() -> list[list[str]]:
    """Return a section for each kind of MM system, as lines."""
    kinds = typing.get_args(typing.get_args(SystemSource)[0])
    blocks = []
    for i, kind in enumerate(kinds):
        values = kind.model_construct().model_dump(mode="json", warnings=False)
        block = ["system:"]
        if i == 0:
            what = RunConfig.model_fields["system"].description
            block = [*comment_lines(f"{what}; other kinds: at the end"), *block]
        for name in sorted(kind.model_fields, key=lambda n, k=kind: _rank(k, n)):  # type: ignore[misc]
            block += entry_lines(
                kind,
                name,
                values.get(name),
                path=f"system.{name}",
                indent="  ",
                shown=_SHOWN,
            )
        blocks.append(block)
    return blocks


def _commented_out(lines: list[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _rank(model: type[BaseModel], name: str) -> int:
    """Return a sort key: ``type`` first, then required fields, then those with a default."""
    return 0 if name == "type" else 1 if model.model_fields[name].is_required() else 2
