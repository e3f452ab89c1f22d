"""Turn pydantic's validation errors into one line in the words of the settings file."""

from __future__ import annotations

import difflib
import reprlib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

__all__ = ["describe_validation_error"]

_BOUNDS = {
    "greater_than": ("gt", "must be >"),
    "greater_than_equal": ("ge", "must be >="),
    "less_than": ("lt", "must be <"),
    "less_than_equal": ("le", "must be <="),
}
_QUOTES = " in quotes (YAML reads 017 as 15, NO as false)"
_LONGEST_SHOWN = 60  # characters of a value in a message
# The most telling mistake first: a misspelt key also makes its right spelling "missing".
_ORDER = ("extra_forbidden", "union_tag_invalid", "union_tag_not_found", "missing")


def describe_validation_error(error: ValidationError, model: type[BaseModel], data: Any) -> str:
    """Describe the most telling error of a validation in one line.

    Args:
        error: what pydantic raised.
        model: the settings class that was validated.
        data: the mapping that was validated, for the values as the user wrote them.
    """
    errors = [dict(item) for item in error.errors(include_url=False)]
    errors.sort(key=lambda e: _ORDER.index(e["type"]) if e["type"] in _ORDER else len(_ORDER))
    text = " ".join(_describe(errors[0], model, data).split())
    more = len({str(e["loc"]) for e in errors}) - 1
    return text if more < 1 else f"{text} (and {more} more)"


def _describe(item: dict[str, Any], model: type[BaseModel], data: Any) -> str:
    kind, ctx = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(item["loc"], model)
    path, raw = _keys_and_value(item["loc"], model, data)
    shown = _shown(raw)
    plain = raw if isinstance(raw, str) and len(raw) <= _LONGEST_SHOWN else shown
    name = ".".join(path)
    prefix = f"{name}: " if name else ""
    if kind == "missing":
        owner = ".".join(path[:-1])
        return (f"{owner}: " if owner else "") + f"the key '{path[-1]}' is missing"
    if kind == "union_tag_not_found":
        allowed = ", ".join(_tags(model, item["loc"]))
        return f"{prefix}the key 'type' is missing; allowed: {allowed}"
    if kind == "union_tag_invalid":
        allowed = ", ".join(_tags(model, item["loc"]))
        return f"{prefix}found type {_shown(ctx['tag'])}, allowed: {allowed}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{prefix}found {plain}, {words} {ctx[bound]:g}"
    if kind == "literal_error":
        return f"{prefix}found {shown}, allowed: {ctx['expected'].replace(' or ', ', ')}"
    if kind == "value_error":
        return prefix + str(ctx["error"])
    if kind in ("path_type", "string_type"):
        hint = "" if isinstance(raw, (dict, list)) else _QUOTES
        return f"{prefix}found {shown}, must be a text{hint}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        section = _model_at(model, item["loc"])
        such = "" if section is None else f" such as {', '.join(section.model_fields)}"
        return f"{prefix}found {shown}, must be a section with keys{such}"
    return f"{prefix}found {shown}, {item['msg'][0].lower()}{item['msg'][1:]}"


def _shown(value: Any) -> str:
    """Return a value as a message shows it: whole if it is short."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else reprlib.repr(value)


def _unknown_key(loc: tuple[Any, ...], model: type[BaseModel]) -> str:
    key, owner = str(loc[-1])[:_LONGEST_SHOWN], _model_at(model, loc[:-1])
    allowed = list(owner.model_fields) if owner is not None else []
    path = ".".join(_without_tags(loc[:-1], model))
    close = difflib.get_close_matches(key, allowed, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    where = f"'{path}'" if path else "the top level"
    return f"unknown key '{key}' in {where}; {hint}allowed: {', '.join(allowed)}"


def _keys_and_value(
    loc: tuple[Any, ...], model: type[BaseModel], data: Any
) -> tuple[list[str], Any]:
    """Return the keys as the user wrote them, and their value, if any."""
    path = _without_tags(loc, model)
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, (list, tuple)) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
    return path, data


def _branches(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes that an annotation admits."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _branches(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [b for arg in typing.get_args(annotation) for b in _branches(arg)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []


def _tag(model: type[BaseModel]) -> str | None:
    """Return the value of a class's discriminating ``type`` field."""
    field = model.model_fields.get("type")
    values = typing.get_args(field.annotation) if field is not None else ()
    return values[0] if len(values) == 1 else None


def _tags(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    owner = _model_at(model, loc[:-1]) or model
    branches = _branches(owner.model_fields[str(loc[-1])].annotation)
    return [tag for tag in map(_tag, branches) if tag is not None]


def _walk(model: type[BaseModel], loc: tuple[Any, ...]) -> tuple[type[BaseModel] | None, list[str]]:
    """Follow pydantic's location of an error; return the settings class there and the user's keys.

    Below a discriminated union, the location contains the tag of the class, which is not a key.
    """
    current: type[BaseModel] | None = model
    branches: list[type[BaseModel]] = []
    path: list[str] = []
    for key in loc:
        tagged = [b for b in branches if len(branches) > 1 and _tag(b) == key]
        if tagged:
            current, branches = tagged[0], []
            continue
        path.append(str(key))
        field = current.model_fields.get(str(key)) if current is not None else None
        branches = _branches(field.annotation) if field is not None else []
        current = branches[0] if branches else None
    return current, path


def _model_at(model: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel] | None:
    return _walk(model, loc)[0]


def _without_tags(loc: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    return _walk(model, loc)[1]
