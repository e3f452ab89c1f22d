"""The commented settings file of ``nnpmm run --template``, made from the fields' descriptions."""

from __future__ import annotations

import textwrap
import typing
from typing import Any

import yaml
from pydantic import BaseModel

from nnpmm.simulation.settings.config import ProtocolConfig, RegionConfig, RunConfig
from nnpmm.structures.inputs.sources import SystemSource

__all__ = ["template"]

_HEADER = """\
# Every setting of a hybrid NNP/MM simulation with its default. Two sections are enough, system and
# region; nnpmm init writes a short file for the files at hand. Run it: nnpmm run md.yaml
# Quantities are written with a unit ("2 fs", "310 K") or as bare numbers in the unit named.
# Relative paths start at the folder of this file. Keys behind a # are optional."""
_WIDTH = 98
# Values that make the template a valid file as it stands, or that read better than the default.
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
    values["ensemble"]["type"] = None  # which depends on the system
    values["region"] = RegionConfig(nnpfile="model.json").model_dump(mode="json")
    values["region"]["nnpfile"] = None
    system, *others = _systems()
    blocks = [_HEADER, "\n".join(system)]
    for name in ("region", *(n for n in RunConfig.model_fields if n not in ("system", "region"))):
        blocks.append("\n".join(_entry(RunConfig, name, values[name], name, "")))
    for block in others:
        blocks.append("\n".join(["# or, in place of the system above:", *_out_commented(block)]))
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
            block = [*_comment(f"{what}; other kinds: at the end", ""), *block]
        for name in sorted(kind.model_fields, key=lambda n, k=kind: _rank(k, n)):  # type: ignore[misc]
            block += _entry(kind, name, values.get(name), f"system.{name}", "  ")
        blocks.append(block)
    return blocks


def _out_commented(lines: list[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _rank(model: type[BaseModel], name: str) -> int:
    """Sort ``type`` first, then what must be given, then what has a default."""
    return 0 if name == "type" else 1 if model.model_fields[name].is_required() else 2


def _entry(model: type[BaseModel], name: str, value: Any, path: str, indent: str) -> list[str]:
    """Return the comment and the key of one field, with its section below if it is one."""
    field = model.model_fields[name]
    lines = _comment(field.description or "", indent)
    sections = [c for c in _candidates(field.annotation) if issubclass(c, BaseModel)]
    if sections and isinstance(value, dict):
        lines.append(f"{indent}{name}:")
        for key in sections[0].model_fields:
            lines += _entry(sections[0], key, value[key], f"{path}.{key}", indent + "  ")
        return lines
    if path in _SHOWN:
        return [*lines, f"{indent}{name}: {_SHOWN[path]}"]
    if name == "type" and field.is_required():
        return [*lines, f"{indent}{name}: {typing.get_args(field.annotation)[0]}"]
    if value in (None, [], {}):
        example = (field.examples or ["null"])[0]
        mark = "" if field.is_required() else "# "
        return [*lines, f"{indent}{mark}{name}: {example}"]
    return [*lines, f"{indent}{name}: {_scalar(value)}"]


def _candidates(annotation: Any) -> list[type]:
    """Return the classes that an optional annotation is made of."""
    arguments = typing.get_args(annotation)
    found = [annotation] if not arguments else list(arguments)
    return [item for item in found if isinstance(item, type)]


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]


def _comment(text: str, indent: str) -> list[str]:
    lead = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead)
