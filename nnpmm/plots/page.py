"""One self-contained HTML page of text, tables and pictures, to be read without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

__all__ = ["Page"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
       padding: 1.2rem; max-width: 62rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; border-bottom: 1px solid #d9d9d9; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #808080; font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0 0 1rem; }
figure img, figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; max-width: 46rem; }
.note { border-left: 4px solid #D55E00; padding: .1rem .8rem; background: #fdf3ec; }
"""


class Page:
    """An HTML page that grows from top to bottom.

    Args:
        title: heading of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = html.escape(title)
        self._parts = [f"<h1>{self._title}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str, *, note: bool = False) -> None:
        """Add plain text; a note stands out."""
        kind = ' class="note"' if note else ""
        self._parts.append(f"<p{kind}>{html.escape(text)}</p>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; cells are plain text."""
        lines = [_row("th", header), *(_row("td", row) for row in rows)]
        self._parts.append(f'<div class="wide"><table>{"".join(lines)}</table></div>')

    def figure(self, figure: Figure, caption: str = "") -> None:
        """Add a picture, embedded as PNG."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        text = html.escape(caption)
        self._add(f'<img src="data:image/png;base64,{data}" alt="{text}">', text)

    def drawing(self, svg: str, caption: str = "") -> None:
        """Add an SVG drawing as it is."""
        self._add(svg[svg.index("<svg") :], html.escape(caption))

    def _add(self, content: str, caption: str) -> None:
        self._parts.append(f"<figure>{content}<figcaption>{caption}</figcaption></figure>")

    def text(self) -> str:
        """Return the page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._title}</title><style>{_STYLE}</style></head>\n<body>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
