"""Commented settings files, written from the fields' descriptions."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

__all__ = ["comment_lines", "commented_file", "entry_lines"]

_WIDTH = 98


_NOTES = """\
# Quantities are written with a unit ("4 fs", "310 K") or as numbers without one, in the unit named.
# Relative paths start at the folder of this file. Keys after a # are optional."""


def commented_file(
    settings: BaseModel,
    *,
    header: str,
    shown: Mapping[str, str],
    blocks: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return a commented YAML file with every setting, its default and its meaning.

    Fields of the class itself come before inherited fields: first the subject of a calculation,
    then its sampling.

    Args:
        settings: the defaults, and examples for the required settings.
        header: the comment at the top, to which notes on units and paths are added.
        shown: texts that replace values, by path.
        blocks: by field, lines that replace those written here.
    """
    model, values = type(settings), settings.model_dump(mode="json")
    own = [name for name in model.__annotations__ if name in model.model_fields]
    blocks = blocks or {}
    parts = [f"{header}\n{_NOTES}"]
    for name in dict.fromkeys([*own, *model.model_fields]):
        lines = blocks.get(name) or entry_lines(model, name, values[name], path=name, shown=shown)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def entry_lines(
    model: type[BaseModel],
    name: str,
    value: Any,
    *,
    path: str,
    indent: str = "",
    shown: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the comment and the key of one field, followed by its keys if it is a section.

    Args:
        model: the settings class.
        name: of the field.
        value: its default as JSON; a field without a value is commented out unless it is required.
        path: of the field, such as ``"output.directory"``.
        indent: of its lines.
        shown: texts that replace defaults, by path.
    """
    shown = shown or {}
    field = model.model_fields[name]
    lines = comment_lines(field.description or "", indent)
    sections = [c for c in _candidates(field.annotation) if issubclass(c, BaseModel)]
    if sections and isinstance(value, dict):
        lines.append(f"{indent}{name}:")
        for key in sections[0].model_fields:
            lines += entry_lines(
                sections[0],
                key,
                value[key],
                path=f"{path}.{key}",
                indent=indent + "  ",
                shown=shown,
            )
        return lines
    if path in shown:
        return [*lines, f"{indent}{name}: {shown[path]}"]
    if name == "type" and field.is_required():
        return [*lines, f"{indent}{name}: {typing.get_args(field.annotation)[0]}"]
    if value in (None, [], {}):
        example = (field.examples or ["null"])[0]
        mark = "" if field.is_required() else "# "
        return [*lines, f"{indent}{mark}{name}: {example}"]
    return [*lines, f"{indent}{name}: {_scalar(value)}"]


def _candidates(annotation: Any) -> list[type]:
    """Return the classes that an annotation such as ``Section | None`` names."""
    arguments = typing.get_args(annotation)
    found = [annotation] if not arguments else list(arguments)
    return [item for item in found if isinstance(item, type)]


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]


def comment_lines(text: str, indent: str = "") -> list[str]:
    """Return a text as YAML comment lines, wrapped."""
    lead = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead)
