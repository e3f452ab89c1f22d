"""Run the tutorials and store their outputs, which the documentation shows.

The script runs each notebook of docs/tutorials from top to bottom in a temporary folder. It writes
the notebook back with its outputs, without terminal colors and local folders. It leaves a notebook
that fails unchanged.
Usage: python benchmarks/tutorials.py [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbclient
import nbformat

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
_COLORS = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")  # lines that a terminal would have replaced
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, without .ipynb; default: all")
    names = parser.parse_args().names or sorted(path.stem for path in TUTORIALS.glob("*.ipynb"))
    # The notebooks call the commands of this environment.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    for name in names:
        start = time.perf_counter()
        store(TUTORIALS / f"{name}.ipynb")
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def store(path: Path) -> None:
    """Execute a notebook and write it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(
            notebook, timeout=1800, record_timing=False, resources=resources
        ).execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs, folder)
    nbformat.write(notebook, path)


def _joined(outputs: list, folder: str) -> list:
    """Return the outputs with the pieces of each stream joined, and without terminal codes."""
    found: list = []
    for output in outputs:
        if found and output.output_type == "stream" == found[-1].output_type:
            if output.name == found[-1].name:
                found[-1].text += output.text
                continue
        found.append(output)
    for output in found:
        if output.output_type == "stream":
            text = _COLORS.sub("", _OVERWRITTEN.sub("", output.text)).replace("\r\n", "\n")
            output.text = text.replace(f"{folder}/", "").replace(sys.prefix, "$VIRTUAL_ENV")
    return found


if __name__ == "__main__":
    main()
