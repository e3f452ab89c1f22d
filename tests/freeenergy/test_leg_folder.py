from __future__ import annotations

import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.legs import keep_parameters
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings
from nnpmm.freeenergy.solvation.preparation import prepare


def test_a_calculation_goes_on_with_its_parameters_only(tmp_path):
    """As where ``auto`` finds AmberTools that was not installed at the beginning."""
    keep_parameters(tmp_path, "fallback")
    keep_parameters(tmp_path, "fallback")
    keep_parameters(tmp_path, None)  # prepared files
    with pytest.raises(ConfigError, match=r"was begun with .* 'fallback', found 'AmberTools"):
        keep_parameters(tmp_path, "AmberTools 26: GAFF2")


def test_the_solvent_has_parameters_too(tmp_path, monkeypatch):
    monkeypatch.setattr("nnpmm.freeenergy.solvation.preparation.solvated_solute", lambda *_: None)
    solute = SoluteSettings(smiles="CO", parameters="fallback")
    solvent = {"name": "toluene", "parameters": "fallback"}
    prepared = prepare(SolvationSettings(solute=solute, solvent=solvent), tmp_path)
    assert prepared.providers.startswith("fallback")
    prepared.sources["solvent_parameters"] = "others"
    assert prepared.providers.endswith(" and others")
