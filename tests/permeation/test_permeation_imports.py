"""No module of permeation, campaigns or core imports itself by way of others, even when called."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nnpmm

ROOT = Path(nnpmm.__file__).parent
FILES = [
    path for name in ("core", "campaigns", "permeation") for path in (ROOT / name).rglob("*.py")
]
# A package's __init__ imports its modules, which import each other past it.
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in FILES
    if path.stem != "__init__"
}


def imports(name):
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


@pytest.mark.parametrize("start", sorted(MODULES))
def test_no_module_imports_itself_by_way_of_others(start):
    seen, todo = set(), [start]
    while todo:
        for name in imports(todo.pop()) - seen:
            assert name != start
            seen.add(name)
            todo.append(name)
