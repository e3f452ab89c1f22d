"""An interactive view of the frames of a molecule on a page.

Notebooks use 3Dmol.js, but its Python package loads the script from a network, which a report must
not need, and a copy would add half a megabyte to every page. The script here draws sticks on a
canvas in 130 lines.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["viewer_html"]

_LARGEST = 32767  # pm, the largest signed integer of two bytes


def viewer_html(
    identifier: str,
    symbols: Sequence[str],
    groups: ArrayLike,
    bonds: ArrayLike,
    labels: Sequence[tuple[int, str]],
    positions: ArrayLike,
    captions: Sequence[str],
) -> str:
    """Return a canvas with its data and script as self-contained HTML.

    Args:
        identifier: of the element on its page; letters and digits.
        symbols: elements of the n atoms.
        groups: (n,) 0 for the molecule in the middle, 1 for its surroundings, 2 for a trace.
        bonds: (m, 2) 0-based pairs.
        labels: texts, each with the atom where it is written.
        positions: (frames, n, 3), nm, up to 32 nm from the centre of the first frame.
        captions: of each frame.
    """
    points = np.asarray(positions, dtype=np.float64)
    local = 1000 * (points - points[0].mean(axis=0))
    picometres = np.clip(np.rint(local), -_LARGEST, _LARGEST).astype("<i2")
    data = {
        "symbols": list(symbols),
        "groups": np.asarray(groups).tolist(),
        "bonds": np.asarray(bonds).tolist(),
        "labels": [[int(atom), text] for atom, text in labels],
        "frames": list(range(len(points))),
        "captions": list(captions),
        "positions": base64.b64encode(picometres.tobytes()).decode(),
    }
    # "</script>" in a label would end the script.
    text = json.dumps(data).replace("<", "\\u003c")
    script = resources.files("nnpmm.plots").joinpath("viewer.js").read_text(encoding="utf-8")
    name = html.escape(identifier, quote=True)
    return (
        f'<div class="viewer" id="{name}"><canvas aria-label="molecule, drag to rotate">'
        '</canvas><div class="controls"><button type="button">▶ play</button>'
        '<input type="range" min="0" value="0" step="1" aria-label="frame"><output></output></div>'
        f"</div><script>{script}\nnnpmmViewer(document.getElementById({json.dumps(identifier)}), "
        f"{text});</script>"
    )
