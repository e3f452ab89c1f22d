"""What MkDocs calls to make the site work without scripts and files from the network.

Equations become MathML, which browsers show themselves. Pages write them in LaTeX, ``$...$`` in a
line and ``$$...$$`` in lines of their own.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

__all__ = ["on_page_content", "on_post_page", "on_post_template"]

# What pymdownx.arithmatex leaves of an equation.
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
# The theme's way to search in pages that were opened as files.
_REMOTE = "https://unpkg.com/iframe-worker/shim"
_LOCAL = "javascripts/file_worker.js"


def on_page_content(content: str, **_: Any) -> str:
    """Replace the equations of a page by MathML."""
    return _EQUATION.sub(_to_mathml, content)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Replace the theme's remote script by the site's own."""
    return output.replace(_REMOTE, get_relative_url(_LOCAL, page.url))


def on_post_template(output_content: str, **_: Any) -> str:
    """Do the same for the page that says that there is no such page."""
    return output_content.replace(_REMOTE, _LOCAL)


def _to_mathml(found: re.Match[str]) -> str:
    tag, bracket, latex = found.groups()
    display = "block" if bracket == "[" else "inline"
    return f'<{tag} class="equation">{convert(html.unescape(latex), display=display)}</{tag}>'
