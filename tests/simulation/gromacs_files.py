"""A GROMACS topology and coordinates of methanol, as text that a test can change."""

from __future__ import annotations

TOP = """[ defaults ]
1 2 yes 0.5 0.8333

[ atomtypes ]
c3  6  12.011  0.0  A  0.34   0.4577
oh  8  15.999  0.0  A  0.307  0.8803
h1  1   1.008  0.0  A  0.247  0.0657
ho  1   1.008  0.0  A  0.0    0.0

[ moleculetype ]
MOL 3

[ atoms ]
1  c3  1  MOL  C1  1   0.28  12.011
2  oh  1  MOL  O1  1  -0.68  15.999
3  h1  1  MOL  H1  1   0.0    1.008
4  h1  1  MOL  H2  1   0.0    1.008
5  h1  1  MOL  H3  1   0.0    1.008
6  ho  1  MOL  H4  1   0.40   1.008

[ bonds ]
1 2 1 0.1418 303937
1 3 1 0.1093 287015
1 4 1 0.1093 287015
1 5 1 0.1093 287015
2 6 1 0.0972 469365

[ angles ]
1 2 6 1 106.5 477.5
2 1 3 1 108.6 470.3
2 1 4 1 108.6 470.3
2 1 5 1 108.6 470.3
3 1 4 1 108.8 310.7
3 1 5 1 108.8 310.7
4 1 5 1 108.8 310.7

[ system ]
methanol

[ molecules ]
MOL 1
"""
ATOMS = (
    ("C1", (-0.036, 0.007, 0.002)),
    ("O1", (0.090, -0.049, -0.023)),
    ("H1", (-0.044, 0.034, 0.107)),
    ("H2", (-0.113, -0.065, -0.024)),
    ("H3", (-0.049, 0.096, -0.060)),
    ("H4", (0.152, -0.023, 0.046)),
)


def gro(atoms=ATOMS, box="3.0 3.0 3.0", residue="MOL", decimals=3):
    """Return a GRO file."""
    width = decimals + 5
    lines = [
        f"{1:5d}{residue:<5s}{name:>5s}{k:5d}" + "".join(f"{x:{width}.{decimals}f}" for x in xyz)
        for k, (name, xyz) in enumerate(atoms, start=1)
    ]
    return "\n".join(["methanol", f"{len(atoms):5d}", *lines, box]) + "\n"


def write(folder, top=TOP, coordinates=None, **system):
    """Write both files and return the section ``system`` of the settings."""
    (folder / "x.top").write_text(top)
    (folder / "x.gro").write_text(gro() if coordinates is None else coordinates)
    files = {"topology": str(folder / "x.top"), "coordinates": str(folder / "x.gro")}
    return {"type": "gromacs", **files, **system}
