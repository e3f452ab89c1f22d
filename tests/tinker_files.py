"""Small Tinker files: a polarizable three-site water and a diatomic, with round numbers."""

from __future__ import annotations

import numpy as np

#: Force-field constants and AMOEBA's scale factors.
HEADER = """
forcefield              TEST
bond-cubic              -2.55
bond-quartic            3.793125
angle-cubic             -0.014
angle-quartic           0.000056
angle-pentic            -0.0000007
angle-sextic            0.000000022
torsionunit             0.5
vdwtype                 BUFFERED-14-7
radiusrule              CUBIC-MEAN
radiustype              R-MIN
radiussize              DIAMETER
epsilonrule             HHG
polarization            MUTUAL
mpole-14-scale          0.4
polar-14-intra          0.5
"""
WATER = """
atom          1    1    O     "Water O"        8    15.999    2
atom          2    2    H     "Water H"        1     1.008    1
vdw           1               3.4000     0.1100
vdw           2               2.6500     0.0130      0.910
bond          1    2          550.00     0.9500
angle         2    1    2      49.00     107.00
ureybrad      2    1    2      -8.00     1.5300
multipole     1   -2   -2              -0.50000
                                        0.00000    0.00000    0.14000
                                        0.38000
                                        0.00000   -0.42000
                                        0.00000    0.00000    0.04000
multipole     2    1    2               0.25000
                                       -0.04000    0.00000   -0.06000
                                       -0.04000
                                        0.00000   -0.11000
                                       -0.00200    0.00000    0.15000
polarize      1          0.8400     0.3900      2
polarize      2          0.5000     0.3900      1
"""
# A chain of four atoms, so that there is a torsion.
PEROXIDE = """
atom         11   11    O     "Peroxide O"     8    15.999    2
atom         12   12    H     "Peroxide H"     1     1.008    1
vdw          11               3.4000     0.1100
vdw          12               2.6500     0.0130      0.910
bond         11   11          300.00     1.4600
bond         11   12          500.00     0.9600
angle        11   11   12      50.00     100.00
torsion      12   11   11   12      2.000 0.0 1   1.000 180.0 2   0.500 0.0 3
multipole    11   11   12              -0.20000
                                        0.01000    0.00000    0.05000
                                        0.10000
                                        0.00000   -0.15000
                                        0.01000    0.00000    0.05000
multipole    12   11   11               0.20000
                                        0.00000    0.00000   -0.02000
                                        0.01000
                                        0.00000    0.02000
                                        0.00000    0.00000   -0.03000
polarize     11          0.8400     0.3900     11   12
polarize     12          0.5000     0.3900     11
"""
_WATER = np.array([[0.0, 0.0, 0.0], [0.95, 0.0, 0.0], [-0.28, 0.91, 0.0]])
_PEROXIDE = np.array([[0.73, 0.0, 0.0], [-0.73, 0.0, 0.0], [0.9, 0.94, 0.1], [-0.9, -0.3, 0.9]])


def write(folder, name, text):
    """Write a file; return its path."""
    path = folder / name
    path.write_text(text)
    return path


def coordinates(folder, *, edge=20.0, spacing=3.4, waters=40, box=True):
    """Write a peroxide with waters on a lattice around it; angstrom."""
    grid = sorted(
        (spacing * np.array(list(np.ndindex(5, 5, 5))) - 2 * spacing).tolist(),
        key=lambda place: float(np.abs(place).max()),
    )[1 : waters + 1]
    rows, bonds = [], [[2, 3], [1, 4], [1], [2]]
    symbols, types = ["O", "O", "H", "H"], [11, 11, 12, 12]
    rows += _PEROXIDE.tolist()
    for place in grid:
        first = len(rows) + 1
        rows += (_WATER + place).tolist()
        symbols += ["O", "H", "H"]
        types += [1, 2, 2]
        bonds += [[first + 1, first + 2], [first], [first]]
    lines = [f"{len(rows)} peroxide in water"]
    if box:
        lines.append(" ".join(3 * [f"{edge:.6f}"] + 3 * ["90.0"]))
    for k, ((x, y, z), symbol, kind, bonded) in enumerate(
        zip(rows, symbols, types, bonds, strict=True), start=1
    ):
        listed = " ".join(map(str, bonded))
        lines.append(f"{k} {symbol} {x:.6f} {y:.6f} {z:.6f} {kind} {listed}")
    return write(folder, "system.xyz", "\n".join(lines) + "\n")
