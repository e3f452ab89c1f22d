"""GRO files of any precision, and placeholders for boxes."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from openmm.app import Topology

from nnpmm.core.errors import InputFileError
from nnpmm.structures.coordinate_files import read_gro, usable_box

POSITIONS = np.array(
    [[0.0901051234, -0.0075012345, 12.5], [-0.0584391234, 100.036785, 0.0056171234]]
)


def _gro(decimals=3, box="3.0 3.1 3.2", velocities=False, end="\n", count=2):
    lines = ["two atoms", f"{count:5d}"]
    for i, (name, x) in enumerate(zip(("C1", "O1"), POSITIONS, strict=True)):
        fields = "".join(f"{value:{decimals + 5}.{decimals}f}" for value in x)
        if velocities:
            fields += "".join(f"{value:{decimals + 5}.{decimals + 1}f}" for value in (0.1, -0.2, 3))
        lines.append(f"{i + 7:5d}{'LIG':<5s}{name:>5s}{i + 1:5d}{fields}")
    return "\n".join([*lines, box]) + end


@pytest.mark.parametrize("velocities", [False, True])
@pytest.mark.parametrize("decimals", [1, 2, 3, 4, 6, 9])
def test_gro_of_any_precision(tmp_path, decimals, velocities):
    path = tmp_path / "x.gro"
    path.write_text(_gro(decimals, velocities=velocities))
    names, residue_ids, residue_names, positions, box = read_gro(path)
    assert (names, residue_ids, residue_names) == (["C1", "O1"], [7, 8], ["LIG", "LIG"])
    np.testing.assert_allclose(positions, POSITIONS, rtol=0, atol=0.51 * 10.0**-decimals)
    np.testing.assert_allclose(box, np.diag([3.0, 3.1, 3.2]), rtol=0, atol=1e-12)


def test_gro_first_frame_and_blank_lines_at_the_end(tmp_path, caplog):
    path = tmp_path / "x.gro"
    path.write_text(_gro() + _gro().replace("0.090", "9.090"))
    np.testing.assert_allclose(read_gro(path).positions, POSITIONS, rtol=0, atol=5.1e-4)
    assert caplog.messages == [f"{path}: contains several frames; the first is taken"]
    caplog.clear()
    path.write_text(_gro(end="\n\n  \n"))
    assert read_gro(path).box is not None
    assert not caplog.messages


@pytest.mark.parametrize("box", ["0 0 0", "0.00000 0.00000 0.00000", " ".join(["0.0"] * 9)])
def test_gro_without_a_box(tmp_path, box, caplog):
    path = tmp_path / "x.gro"
    path.write_text(_gro(box=box))
    assert read_gro(path).box is None
    assert not caplog.records


def test_triclinic_gro_box_is_reduced(tmp_path):
    path = tmp_path / "x.gro"
    path.write_text(_gro(box="3 3 3  0 0 2 0 -2 1.6"))
    box = read_gro(path).box
    Topology().setPeriodicBoxVectors(box)  # refuses boxes that are not in reduced form
    # The same lattice: the old vectors are whole-number combinations of the new ones.
    old = np.array([[3, 0, 0], [2, 3, 0], [-2, 1.6, 3]])
    combinations = old @ np.linalg.inv(box)
    np.testing.assert_allclose(combinations, np.round(combinations), rtol=0, atol=1e-12)
    assert abs(np.linalg.det(combinations)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 2", "number of atoms"]),
        ("title\n", ["line 2", "end of the file"]),
        ("title\nmany\n", ["line 2", "'many'"]),
        ("title\n0\n1 1 1\n", ["no atoms"]),
        (_gro(count=9), ["line 5", "9 atoms", "truncated"]),
        (_gro(count=1), ["line 4", "expected the box"]),
        (_gro(box="three"), ["line 5", "'three'", "expected the box"]),
        (_gro(box="3 3"), ["line 5", "expected the box"]),
        (_gro(box="3 3 3 1 0 0 0 0 0"), ["first box vector"]),
        (_gro(box="3 nan 3"), ["not finite"]),
        (_gro().replace("0.090", "  nan"), ["line 3", "columns of 8"]),
        (_gro().replace("0.006", "  abc"), ["line 4", "columns of 8"]),
        (_gro().replace("    8LIG", "ABCDELIG"), ["line 4"]),
    ],
)
def test_damaged_gro_files_are_refused(tmp_path, text, words):
    path = tmp_path / "x.gro"
    path.write_text(text)
    with pytest.raises(InputFileError) as caught:
        read_gro(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in ("x.gro", *words):
        assert word in message, message


@pytest.mark.parametrize(
    ("box", "n_atoms"),
    [
        (np.eye(3) * 0.1, 1),
        (np.eye(3) * 0.1, 4000),
        (np.diag([5.0, 5.0, 0.0]), 10),
        (np.eye(3) * 1.0, 4000),  # 1 nm^3 for 4000 atoms
        (np.array([[0.1, 0, 0], [-0.05, 0.0866, 0], [0, 0, 0.1]]), 10),
    ],
)
def test_boxes_too_small_for_the_atoms_are_refused(box, n_atoms, caplog):
    with caplog.at_level(logging.WARNING):
        assert usable_box(box, n_atoms, origin="em.pdb") is None
    (record,) = caplog.records
    assert record.getMessage().startswith("em.pdb: the box of")
    assert "no box" in record.getMessage()


@pytest.mark.parametrize(
    ("edge", "n_atoms"),
    [(0.357, 8), (0.453, 12), (3.0, 2700), (1000.0, 5)],  # diamond, ice, water, a wide box
)
def test_real_cells_are_unchanged(edge, n_atoms, caplog):
    np.testing.assert_array_equal(usable_box(np.eye(3) * edge, n_atoms), np.eye(3) * edge)
    assert not caplog.records


def test_missing_box_is_none():
    assert usable_box(None) is None
