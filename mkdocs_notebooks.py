"""Notebooks of the documentation become ordinary pages, with the outputs stored in them.

A notebook is turned into Markdown, so that its links are checked and its code, tables and equations
look like those of other pages. Nothing is executed. Other pages and the navigation name the
notebook itself. The page offers it for download.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

__all__ = ["on_files"]

_DOWNLOAD = "[Download this notebook]({name}/{name}.ipynb)"
# Of the style of pictures, and at which they have the size of the text around them.
_PICTURE_DPI, _PAGE_DPI = 150, 100


class _NotebookPage(File):
    """A page whose source is a notebook."""

    def is_documentation_page(self) -> bool:
        return True


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Replace each notebook by its page, its pictures and a copy of itself to download."""
    for file in list(files):
        path = PurePosixPath(file.src_uri)
        if path.suffix != ".ipynb":
            continue
        source = file.content_bytes
        pictures: dict[str, bytes] = {}
        text = "\n\n".join(_markdown(json.loads(source), path.stem, pictures))
        files.remove(file)
        files.append(_NotebookPage.generated(config, file.src_uri, content=text))
        folder = path.with_suffix("")
        for name, content in {**pictures, path.name: source}.items():
            files.append(File.generated(config, str(folder / name), content=content))
    return files


def _markdown(notebook: dict[str, Any], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield the parts of a page, and add to the pictures that they show."""
    for index, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            title, _, rest = source.partition("\n")
            yield source if index else f"{title}\n\n{_DOWNLOAD.format(name=name)}\n{rest}"
            continue
        yield _fenced(source, "python")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{len(pictures) + 1}.png"
                content = pictures[picture] = base64.b64decode("".join(data["image/png"]))
                width = int.from_bytes(content[16:20], "big") * _PAGE_DPI // _PICTURE_DPI
                yield f'![{cell["metadata"]["alt"]}]({name}/{picture}){{ width="{width}" }}'
            elif "text/html" in data:
                yield f'<div class="output">{"".join(data["text/html"])}</div>'
            else:
                text = "".join(output.get("text") or data["text/plain"])
                yield _fenced(text.rstrip(), "text", " .output")


def _fenced(text: str, language: str, classes: str = "") -> str:
    return f"```{{ .{language}{classes} }}\n{text}\n```"
