"""Read the YAML of a settings file, with limits on its size, depth and aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nnpmm.core.errors import ConfigError, InputFileError

__all__ = ["read_yaml"]

_LARGEST_FILE = 1_000_000  # bytes; every key of the template with its comments takes 10 kB
_DEEPEST = 20
_MOST_VALUES = 10_000  # aliases expanded


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses deep nesting and repeated keys, of which PyYAML uses the last."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {_DEEPEST}", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Args:
        path: the file, at most 1 MB of text; the value of an alias counts as often as it is used.

    Returns:
        What it contains: dictionaries, lists and scalars.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: it is not YAML, or beyond the bounds of a settings file.
    """
    text = _read_text(path)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        values = _count(node, {})
        if values > _MOST_VALUES:
            raise ConfigError(
                f"{path.name}: found {values:.4g} values, most of them by aliases (*name); "
                f"allowed: at most {_MOST_VALUES}"
            )
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"{path.name}: not valid YAML{where}: {problem}") from error
    except ConfigError:
        raise
    except ValueError as error:  # a date that does not exist, a number of 5,000 digits
        raise ConfigError(f"{path.name}: not valid YAML: {str(error)[:200]}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _read_text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read(_LARGEST_FILE + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not a text file"
        raise InputFileError(f"{path}: cannot read the settings: {reason}") from error
    if len(text) > _LARGEST_FILE:
        raise InputFileError(
            f"{path}: larger than {_LARGEST_FILE // 1000} kB, too large for a settings file: give "
            "the YAML file of a run"
        )
    return text


def _count(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return the number of values in a node and below it, aliases expanded.

    Args:
        node: of the composed document.
        known: counts of the nodes seen so far by their id, so that each is counted once.

    Raises:
        ConstructorError: an alias is inside the value that it refers to.
    """
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if known.get(id(node)) == 0:  # still being counted
        raise yaml.constructor.ConstructorError(
            None, None, "found an alias inside the value that it refers to", node.start_mark
        )
    if id(node) not in known:
        known[id(node)] = 0
        children = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]
