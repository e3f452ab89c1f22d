"""Read settings from a YAML file or from nested dictionaries, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nnpmm.core.errors import ConfigError
from nnpmm.core.settings.validation_errors import describe_validation_error
from nnpmm.core.settings.yaml_file import read_yaml

__all__ = ["parse_settings", "read_settings"]

Settings = TypeVar("Settings", bound=BaseModel)


def parse_settings(
    model: type[Settings], data: Any, *, source: str = "settings", base: str | Path = "."
) -> Settings:
    """Turn nested dictionaries into settings.

    Args:
        model: the settings class.
        data: mapping as read from YAML.
        source: name that error messages begin with.
        base: folder that relative paths are relative to.

    Raises:
        ConfigError: one line that names the offending key, what was found and what is allowed.
    """
    if not isinstance(data, dict):
        fields = model.model_fields
        key = next((name for name in fields if fields[name].is_required()), next(iter(fields)))
        raise ConfigError(f"{source}: found {type(data).__name__}, expected keys such as '{key}'")
    try:
        return model.model_validate(data, context={"base": Path(base)})
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe_validation_error(error, model, data)}") from None


def read_settings(model: type[Settings], path: str | Path) -> Settings:
    """Read settings from a YAML file; paths in it are relative to its folder.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: it is not YAML, or a setting is wrong.
    """
    path = Path(path)
    return parse_settings(model, read_yaml(path), source=path.name, base=path.absolute().parent)
