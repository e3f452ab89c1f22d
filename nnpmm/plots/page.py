"""A self-contained HTML page of text, tables and pictures, which needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from matplotlib.figure import Figure

__all__ = ["Page"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
       padding: 1.2rem; max-width: 62rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; border-bottom: 1px solid #d9d9d9; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin-bottom: 1rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #808080; font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0 0 1rem; }
figure img, figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; max-width: 46rem; }
.note { border-left: 4px solid #D55E00; padding: .1rem .8rem; background: #fdf3ec; }
th[aria-sort]::after { content: " ▲"; font-size: .7em; }
th[aria-sort=descending]::after { content: " ▼"; }
.sortable thead th { cursor: pointer; position: sticky; top: 0; background: #fff; }
.sortable { font-size: .88rem; }
.sortable tbody tr:hover { background: #f2f6fa; }
.long { max-height: 26rem; overflow: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .7rem;
         margin: 1rem 0; padding: 0; list-style: none; }
.cards li { border: 1px solid #d9d9d9; border-radius: .5rem; padding: .5rem .9rem; }
.cards b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.cards span { color: #555; font-size: .85rem; }
.viewer { border: 1px solid #d9d9d9; border-radius: .5rem; overflow: hidden; }
.viewer canvas { display: block; width: 100%; height: min(30rem, 70vh); touch-action: none;
                 cursor: grab; }
.controls { display: flex; gap: .7rem; align-items: center; padding: .4rem .7rem;
            border-top: 1px solid #d9d9d9; flex-wrap: wrap; }
.controls input { flex: 1 1 8rem; }
.controls output { color: #555; font-size: .9rem; min-width: 14rem; }
"""


class Page:
    """An HTML page that grows from top to bottom.

    Args:
        title: heading of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = html.escape(title)
        self._parts = [f"<h1>{self._title}</h1>"]
        self._sorts = False

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

    def sortable_table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[str]],
        values: Iterable[Mapping[int, Any]] = (),
        *,
        long: bool = False,
    ) -> None:
        """Add a table that a click on a heading sorts; cells are plain text.

        Args:
            header: headings of the columns.
            rows: cells.
            values: for each row the sort keys that replace the cells' text, by column.
            long: put the table into a scrolling area.
        """
        keys = list(values)
        lines = []
        for n, row in enumerate(rows):
            by = keys[n] if n < len(keys) else {}
            cells = [
                f"<td{_sort_key(by[k]) if k in by else ''}>{html.escape(cell)}</td>"
                for k, cell in enumerate(row)
            ]
            lines.append(f"<tr>{''.join(cells)}</tr>")
        head = f"<thead>{_row('th', header)}</thead>"
        kind = "wide long" if long else "wide"
        self._parts.append(
            f'<div class="{kind}"><table class="sortable">{head}'
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )
        self._sorts = True

    def cards(self, cards: Iterable[tuple[str, str]]) -> None:
        """Add a row of key values, each with its name."""
        items = [
            f"<li><b>{html.escape(value)}</b><span>{html.escape(name)}</span></li>"
            for value, name in cards
        ]
        self._parts.append(f'<ul class="cards">{"".join(items)}</ul>')

    def element(self, content: str, caption: str = "") -> None:
        """Add HTML as it is, such as ``viewer_html`` gives it."""
        self._add(content, html.escape(caption))

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
        script = ""
        if self._sorts:
            source = resources.files("nnpmm.plots").joinpath("sorting.js")
            script = f"<script>{source.read_text(encoding='utf-8')}</script>"
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._title}</title><style>{_STYLE}</style></head>\n<body>\n"
            + "\n".join(self._parts)
            + f"\n{script}</body></html>\n"
        )


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _sort_key(value: Any) -> str:
    return f' data-value="{html.escape(str(value), quote=True)}"'
