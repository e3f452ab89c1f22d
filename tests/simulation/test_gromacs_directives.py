"""Sections of a GROMACS topology that OpenMM's reader ignores silently."""

from __future__ import annotations

import pytest
from gromacs_files import TOP, write

from nnpmm.core.errors import InputFileError
from nnpmm.simulation import load_run_system, parse_config
from nnpmm.structures.inputs import gromacs_directives

POSITION = "[ position_restraints ]\n1 1 1000 1000 1000\n2 1 1000 1000 1000\n"


def load(folder, addition, **system):
    """Load methanol with text added to its molecule type."""
    top = TOP.replace("[ system ]", f"{addition}\n[ system ]")
    settings = {"system": write(folder, top, **system)}
    return load_run_system(
        parse_config({**settings, "region": {"selection": "all", "model": "ANI-2x"}})
    )


def test_position_restraints_give_a_warning(tmp_path, caplog):
    load(tmp_path, POSITION)
    (message,) = caplog.messages
    assert "x.top: [ position_restraints ] (lines: 2): left out" in message
    assert "stages.warmup.restraint" in message


@pytest.mark.parametrize("defines", [{"POSRES": ""}, {}])
def test_only_active_sections_are_read(tmp_path, caplog, defines):
    load(tmp_path, f"#ifdef POSRES\n{POSITION}#endif\n", defines=defines)
    assert len(caplog.messages) == len(defines)


def test_included_files_and_unused_molecules(tmp_path, caplog):
    (tmp_path / "posre.itp").write_text(POSITION)
    other = TOP[TOP.index("[ moleculetype ]") : TOP.index("[ system ]")].replace("MOL", "LIG")
    load(
        tmp_path, f'{other}\n#include "posre.itp"'
    )  # belongs to LIG, which the system does not contain
    assert caplog.messages == []
    load(tmp_path, '#include "posre.itp"')
    assert "[ position_restraints ] (lines: 2)" in caplog.text


def test_empty_section_is_ignored(tmp_path, caplog):
    load(tmp_path, "[ position_restraints ]\n; none\n[ pairs_nb ]\n")
    assert caplog.messages == []


@pytest.mark.parametrize("section", sorted(gromacs_directives._RESTRAINTS))
def test_every_kind_of_restraint_gives_a_warning(tmp_path, caplog, section):
    load(tmp_path, f"[ {section} ]\n1 2 1 1 1\n")
    assert f"[ {section} ] (lines: 1)" in caplog.text


@pytest.mark.parametrize("section", sorted(gromacs_directives._FORCE_FIELD))
def test_sections_of_the_force_field_are_refused(tmp_path, section):
    with pytest.raises(InputFileError, match=rf"\[ {section} \], which is part of the force"):
        load(tmp_path, f"[ {section} ]\n1 2 1 1 1\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ Position-Restraints ]\n1 1 1 1 1\n", r"write \[ position_restraints \]"),
        ("[ Exclusions ]\n1 2\n", r"write \[ exclusions \]"),
        ("[ bonts ]\n1 2\n", r"\[ bonts \], which is not a directive of GROMACS"),
        ("[ intermolecular_interactions ]\n[ bonds ]\n1 2 1 0.1 100\n", "part of the force field"),
        ("[ constraints ]\n1 6 1 0.2\n", "constraint between atoms 1 and 6 of MOL replaces a bond"),
    ],
)
def test_directives_that_would_change_the_system_are_refused(tmp_path, text, message):
    with pytest.raises(InputFileError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["[ constraints ]\n1 6 2 0.2\n", "[ constraints ]\n1 2 1 0.14\n"])
def test_constraints_without_further_exclusions_are_accepted(tmp_path, text):
    assert load(tmp_path, text).system.getNumConstraints() > 0
