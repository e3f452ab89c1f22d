from __future__ import annotations

import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.legs import claim_folder, keep_parameters
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings
from nnpmm.freeenergy.solvation.preparation import prepare


def test_resume_with_other_parameters_is_refused(tmp_path):
    """For example, if AmberTools was installed after the start, ``auto`` finds it."""
    keep_parameters(tmp_path, "fallback")
    keep_parameters(tmp_path, "fallback")
    keep_parameters(tmp_path, None)  # prepared files
    with pytest.raises(ConfigError, match=r"was started with .* 'fallback', found 'AmberTools"):
        keep_parameters(tmp_path, "AmberTools 26: GAFF2")


def test_providers_include_the_solvent_parameters(tmp_path, monkeypatch):
    monkeypatch.setattr("nnpmm.freeenergy.solvation.preparation.solvated_solute", lambda *_: None)
    solute = SoluteSettings(smiles="CO", parameters="fallback")
    solvent = {"name": "toluene", "parameters": "fallback"}
    prepared = prepare(SolvationSettings(solute=solute, solvent=solvent), tmp_path)
    assert prepared.providers.startswith("fallback")
    prepared.sources["solvent_parameters"] = "others"
    assert prepared.providers.endswith(" and others")


def test_differing_setting_is_named_with_its_path(tmp_path):
    solute = SoluteSettings(smiles="CO", parameters="fallback")
    first = SolvationSettings(solute=solute, ladder={"sterics": (0.5, 0.0), "time": 5.0})
    claim_folder(first, tmp_path, resume=False)
    (tmp_path / "joint").mkdir()  # something was sampled
    longer = first.model_copy(update={"ladder": first.ladder.model_copy(update={"time": 6.0})})
    claim_folder(longer, tmp_path, resume=True)
    other = SolvationSettings(solute=solute, ladder={"sterics": (0.4, 0.0), "time": 5.0})
    words = r"started with ladder\.sterics \[0\.5, 0\.0\], found \[0\.4, 0\.0\]; use the same"
    with pytest.raises(ConfigError, match=words):
        claim_folder(other, tmp_path, resume=True)
