"""Which end of the ladder each repeat begins with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from small_ladders import METHANE

from nnpmm.freeenergy.binding import BindingSettings, ComplexLadderSettings
from nnpmm.freeenergy.binding.report import converged_warning
from nnpmm.freeenergy.legs import Ladder, LadderSettings, repeats, sample_repeats
from nnpmm.freeenergy.solvation import SolvationSettings
from nnpmm.structures.inputs import AmberSystem


def settings(count: int, **ladder) -> SolvationSettings:
    whole = {**METHANE, "repeats": count, "ladder": {**METHANE["ladder"], **ladder}}
    return SolvationSettings.model_validate(whole)


def starts_at_last_state(wanted: SolvationSettings, folder, monkeypatch) -> list[bool]:
    """Return whether each repeat begins with the last state."""
    found = []
    monkeypatch.setattr(repeats, "sample_leg", lambda *_, from_last, **__: found.append(from_last))
    ladder = Ladder("ladder", wanted.ladder, lambda: None)
    sample_repeats(wanted, [ladder], folder, resume=False, announce=lambda *_: lambda *_: None)
    return found


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("first", [False, False, False]),
        ("last", [True, True, True]),
        ("alternate", [False, True, False]),
    ],
)
def test_repeats_begin_at_the_requested_end(start, expected, tmp_path, monkeypatch):
    assert (
        starts_at_last_state(settings(3, equilibrate_from=start), tmp_path, monkeypatch) == expected
    )


def test_repeats_of_a_complex_begin_at_both_ends_by_default():
    assert ComplexLadderSettings().equilibrate_from == "alternate"
    assert LadderSettings().equilibrate_from == "first"


@pytest.mark.parametrize(("repeats", "warned"), [(1, True), (2, False)])
def test_a_single_repeat_of_a_binding_free_energy_is_reported(repeats, warned):
    system = AmberSystem(type="amber", topology="complex.prmtop", coordinates="complex.inpcrd")
    wanted = BindingSettings(system=system, selection="resname LIG", repeats=repeats)
    assert ("cannot show hysteresis" in (converged_warning(wanted) or "")) == warned


def test_independent_windows_cannot_begin_at_the_last_state():
    with pytest.raises(ValidationError, match="found equilibrate_from: last and exchange: false"):
        settings(2, equilibrate_from="last", exchange=False)
