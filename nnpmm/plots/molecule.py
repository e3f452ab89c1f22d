"""Ball-and-stick drawing of a small molecule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Polygon
from numpy.typing import ArrayLike, NDArray

__all__ = ["draw_molecule", "view_axes"]

# Corey-Pauling-Koltun colours and covalent radii (nm, Cordero et al., Dalton Trans. 2008, 2832).
_ELEMENTS = {
    "H": ("#f2f2f2", 0.031),
    "C": ("#555555", 0.076),
    "N": ("#4f6bed", 0.071),
    "O": ("#e8412c", 0.066),
    "F": ("#7ac943", 0.057),
    "P": ("#f08a1d", 0.107),
    "S": ("#e3c520", 0.105),
    "Cl": ("#3fb544", 0.102),
    "Br": ("#a23b28", 0.120),
    "I": ("#8a3fa0", 0.139),
}
_OTHER = ("#c77fb5", 0.12)
_STICK = 0.011  # half width in nm
_MARGIN = 0.07  # nm
_PANEL_POINTS = 300.0  # width of a panel, for the size of the labels
_FOG = 0.35  # fraction of white in the farthest atom


def _ball_radius(element: str) -> float:
    return 0.018 + 0.3 * _ELEMENTS.get(element, _OTHER)[1]


def view_axes(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the axes (3, 3) of a view as rows: the widest one first, the line of sight last."""
    axes = np.linalg.svd(positions - positions.mean(axis=0), full_matrices=True)[2]
    axes[2] = np.cross(axes[0], axes[1])  # right-handed, to preserve chirality
    return axes


def _view(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions (n, 3) with the widest axis first and the line of sight last."""
    return (positions - positions.mean(axis=0)) @ view_axes(positions).T


def _faded(colour: str, depth: float) -> NDArray[np.float64]:
    """Blend a colour with white; ``depth`` is 1 in front and 0 behind."""
    share = _FOG * (1 - depth)
    return (1 - share) * np.array(to_rgb(colour)) + share


def _bonds_by_distance(positions: NDArray[np.float64], elements: Sequence[str]) -> NDArray:
    """Guess bonds as pairs closer than 1.25 times the sum of the covalent radii."""
    radii = np.array([_ELEMENTS.get(e, _OTHER)[1] for e in elements])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    close = distance < 1.25 * (radii[:, None] + radii[None])
    return np.argwhere(np.triu(close, k=1))


def draw_molecule(
    axes: Axes, positions: ArrayLike, elements: Sequence[str], bonds: ArrayLike
) -> NDArray[np.float64]:
    """Draw atoms and bonds, seen along the axis of least extent, farther ones paler.

    Args:
        axes: to draw on; they get equal scales and lose their frame.
        positions: (n_atoms, 3) in nm, the molecule whole.
        elements: symbols, one for each atom.
        bonds: (n_bonds, 2) 0-based pairs; guessed from distances if there are none.

    Returns:
        Positions (n_atoms, 3) in the view, the line of sight last.
    """
    points = _view(np.asarray(positions, dtype=np.float64))
    pairs = np.asarray(bonds, dtype=np.int64).reshape(-1, 2)
    if len(pairs) == 0:
        pairs = _bonds_by_distance(points, elements)
    span = np.ptp(points[:, 2]) if len(points) else 0.0
    # In a flat molecule, differences of depth below 0.1 nm hardly change the colours.
    depths = (points[:, 2] - points[:, 2].min()) / max(span, 0.1)
    depths = depths + (1 - depths.max())
    widest = max(float(np.ptp(points[:, 0])), float(np.ptp(points[:, 1]))) + 2 * _MARGIN
    points_per_nm = _PANEL_POINTS / widest
    for i, j in pairs.tolist():
        _draw_bond(axes, points, elements, depths, i, j)
    for i, element in enumerate(elements):
        _draw_atom(axes, points[i], element, depths[i], points_per_nm)
    low, high = points[:, :2].min(axis=0) - _MARGIN, points[:, :2].max(axis=0) + _MARGIN
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.axis("off")
    return points


def _draw_atom(
    axes: Axes,
    point: NDArray[np.float64],
    element: str,
    depth: float,
    points_per_nm: float,
) -> None:
    radius, colour = _ball_radius(element), _faded(_ELEMENTS.get(element, _OTHER)[0], depth)
    x, y, order = float(point[0]), float(point[1]), 10 + 10 * float(point[2])
    edge = 0.45 * colour + 0.25 * (1 - depth)
    axes.add_patch(Circle((x, y), radius, facecolor=colour, edgecolor=edge, lw=0.7, zorder=order))
    for size, shift, opacity in ((0.62, 0.22, 0.18), (0.34, 0.34, 0.3)):
        centre = (x - shift * radius, y + shift * radius)
        axes.add_patch(
            Circle(centre, size * radius, facecolor="white", lw=0, alpha=opacity, zorder=order)
        )
    dark = float(np.dot(colour, (0.299, 0.587, 0.114))) < 0.6
    axes.text(
        x,
        y,
        element,
        ha="center",
        va="center",
        fontsize=min(7.5, 0.95 * radius * points_per_nm),
        color="white" if dark else "#222222",
        zorder=order + 1e-4,
        clip_on=True,
    )


def _draw_bond(
    axes: Axes,
    points: NDArray[np.float64],
    elements: Sequence[str],
    depths: NDArray[np.float64],
    i: int,
    j: int,
) -> None:
    """Draw a bond as two halves in the colours of its atoms, each at its atom's depth."""
    along = points[j] - points[i]
    length = np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    if np.linalg.norm(across) < 1e-6:  # seen end on: hidden behind its atom
        return
    normal = across / np.linalg.norm(across) * _STICK
    middle = (points[i] + points[j]) / 2
    for atom, way in ((i, along / length), (j, -along / length)):
        # A stick begins at the surface of its ball, in front of it or behind it.
        begin = points[atom] + 0.95 * _ball_radius(elements[atom]) * way
        corners = [
            begin[:2] + normal,
            middle[:2] + normal,
            middle[:2] - normal,
            begin[:2] - normal,
        ]
        colour = 0.85 * _faded(_ELEMENTS.get(elements[atom], _OTHER)[0], depths[atom])
        order = 10 + 10 * points[atom, 2] + (2e-4 if way[2] > 0 else -2e-4)
        axes.add_patch(Polygon(corners, closed=True, facecolor=colour, lw=0, zorder=order))
