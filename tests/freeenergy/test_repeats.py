"""Which end of the ladder each repeat begins with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from small_ladders import METHANE

from nnpmm.freeenergy.legs import Ladder, repeats, sample_repeats
from nnpmm.freeenergy.solvation import SolvationSettings


def settings(count: int, **ladder) -> SolvationSettings:
    whole = {**METHANE, "repeats": count, "ladder": {**METHANE["ladder"], **ladder}}
    return SolvationSettings.model_validate(whole)


def ends(wanted: SolvationSettings, folder, monkeypatch) -> list[bool]:
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
def test_repeats_begin_at_the_end_that_was_asked_for(start, expected, tmp_path, monkeypatch):
    assert ends(settings(3, equilibrate_from=start), tmp_path, monkeypatch) == expected


def test_one_repeat_cannot_alternate():
    with pytest.raises(ValidationError, match="found alternate and one repeat, allowed: two"):
        settings(1, equilibrate_from="alternate")


def test_windows_begin_with_the_first_state():
    with pytest.raises(ValidationError, match="found equilibrate_from: last and exchange: false"):
        settings(2, equilibrate_from="last", exchange=False)
