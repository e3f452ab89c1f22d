"""Base class of settings and records, checked by pydantic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from nnpmm.core.errors import shortened

__all__ = ["Section", "first_problem"]


class Section(BaseModel):
    """Base of every settings model: unknown keys are refused and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def first_problem(error: ValidationError) -> str:
    """Describe the first validation error in one line, with the value that was found."""
    first = error.errors()[0]
    text = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # the error is about several settings together
        return text
    found = "" if first["type"] == "missing" else f" (found {shortened(first['input'])!r})"
    return f"{'.'.join(map(str, first['loc']))}: {text}{found}"
