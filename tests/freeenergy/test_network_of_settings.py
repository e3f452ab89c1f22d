"""The network of a free energy is checked first, and loaded with its options."""

from __future__ import annotations

import pytest
from small_ladders import METHANE

from nnpmm.core.errors import ModelError
from nnpmm.freeenergy.binding import BindingSettings, run_binding
from nnpmm.freeenergy.legs import load_network
from nnpmm.freeenergy.solvation import SolvationSettings, run_solvation
from nnpmm.models import FunctionModel, registry

NETWORK = {"model": "no-network", "potentials": ["network"]}
COMPLEX = {"type": "amber", "topology": "missing.prmtop", "coordinates": "missing.inpcrd"}


def test_an_unknown_network_is_refused_before_the_solute_is_prepared(tmp_path):
    settings = SolvationSettings.model_validate({**METHANE, **NETWORK})
    with pytest.raises(ModelError, match="found the model 'no-network', known: ANI-2x"):
        run_solvation(settings, tmp_path / "solvation")
    assert not (tmp_path / "solvation").exists()


def test_an_unknown_network_is_refused_before_the_complex_is_read(tmp_path):
    settings = BindingSettings(system=COMPLEX, selection="resname LIG", **NETWORK)
    with pytest.raises(ModelError, match="found the model 'no-network'"):
        run_binding(settings, tmp_path / "binding")
    assert not (tmp_path / "binding").exists()


class SingleThreaded:
    """A family of models without the option ``threads``."""

    accepts, options = "single", ("members",)

    def recognizes(self, name: str) -> bool:
        return name == "single"

    def load(self, name: str, **options) -> FunctionModel:
        assert "threads" not in options
        return FunctionModel(lambda positions, *_: (0.0, 0 * positions))


def test_threads_are_not_passed_to_a_family_without_them(monkeypatch):
    monkeypatch.setattr(registry, "families", lambda: {"single": SingleThreaded()})
    settings = SolvationSettings.model_validate({**METHANE, "model": "single", "threads": 1})
    assert isinstance(load_network(settings), FunctionModel)
