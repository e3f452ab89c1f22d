"""The tables of parameters against the published files."""

import re

import pytest
from conftest import shared_data

from nnpmm.core.errors import ForceFieldError
from nnpmm.permeation.martini import interaction, lipid, tables, water


def _lines(path, section=None, start=0):
    """Yield the fields of the lines of a GROMACS file, without comments, with their section."""
    current = None
    for line in path.read_text().splitlines()[start:]:
        line = line.split(";")[0].strip()
        header = re.match(r"\[\s*(\w+)\s*\]", line)
        if header:
            current = header.group(1)
        elif line and section in (None, current):
            yield current, line.split()


@pytest.mark.data
@pytest.mark.parametrize("version", ["martini_v2.1.itp", "martini_v2.2.itp"])
def test_pair_parameters_match_the_published_files(version):
    path = shared_data(f"martini2/{version}")
    known = (*tables.BEAD_TYPES, tables.ANTIFREEZE)
    seen = set()
    for _, (a, b, _, c6, c12) in _lines(path, "nonbond_params"):
        if a in known and b in known:
            epsilon, sigma = interaction(a, b)
            assert interaction(b, a) == (epsilon, sigma)
            assert 4 * epsilon * sigma**6 == pytest.approx(float(c6), rel=1e-4), (a, b)
            assert 4 * epsilon * sigma**12 == pytest.approx(float(c12), rel=1e-4), (a, b)
            seen.add(frozenset((a, b)))
    assert len(seen) == 19 * 20 // 2


def _read_molecule(path, name):
    lines = path.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(rf"\s*{name}\s+1\s*$", line))
    tables_read = {"atoms": [], "bonds": [], "angles": []}
    for section, fields in _lines(path, start=start + 1):
        if section == "moleculetype":
            break
        if section in tables_read:
            tables_read[section].append(fields)
    return tables_read


@pytest.mark.data
@pytest.mark.parametrize("name", tables.LIPID_TAILS)
def test_lipids_match_the_published_files(name):
    molecule = lipid(name)
    read = _read_molecule(shared_data("martini2/martini_v2.0_lipids_all_201506.itp"), name)
    assert [(b.type, b.name, b.charge) for b in molecule.beads] == [
        (f[1], f[4], float(f[6])) for f in read["atoms"]
    ]
    assert [(b.i + 1, b.j + 1, b.length, b.force_constant) for b in molecule.bonds] == [
        (int(f[0]), int(f[1]), float(f[3]), float(f[4])) for f in read["bonds"]
    ]
    assert [(a.i + 1, a.j + 1, a.k + 1, a.degrees, a.force_constant) for a in molecule.angles] == [
        (*map(int, f[:3]), float(f[4]), float(f[5])) for f in read["angles"]
    ]


def test_water_and_antifreeze():
    assert water().beads[0].type == "P4"
    assert water(antifreeze=True).beads[0].type == "BP4"
    assert interaction("P4", "BP4") == (5.6, 0.57)
    assert interaction("BP4", "BP4") == interaction("P4", "P4") == (5.0, 0.47)


def test_interaction_matrix_is_symmetric():
    for row in tables.BEAD_TYPES:
        for column in tables.BEAD_TYPES:
            assert interaction(row, column) == interaction(column, row)


def test_unknown_names_are_refused():
    with pytest.raises(ForceFieldError, match=r"'POPE', known lipids: DPPC, DOPC"):
        lipid("POPE")
    with pytest.raises(ForceFieldError, match=r"'X1', known types: P5"):
        interaction("C1", "X1")
