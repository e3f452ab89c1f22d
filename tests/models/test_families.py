"""Families of models: nnpmm's own, and those that another package adds by an entry point."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnpmm import load_model
from nnpmm.core.errors import ModelError
from nnpmm.diagnosis import diagnose
from nnpmm.models import FunctionModel, ModelFamily, families, find_family
from nnpmm.models.ani import AniModel

TOY = """
import numpy as np
from nnpmm.models import FunctionModel

def spring(positions, numbers, charge):
    return 0.0, np.zeros_like(positions)

class Toys:
    options = ("device", "stiffness")
    accepts = "a toy"

    def names(self):
        return ("toy-spring", *self.shared)

    shared = ()

    def recognizes(self, name):
        return name in self.names()

    def load(self, name, device="auto", stiffness=1.0):
        return FunctionModel(spring, f"{name} {stiffness:g} on {device}")

class Rivals(Toys):
    shared = ("ANI-1x",)

TOYS, RIVALS, NOTHING = Toys(), Rivals(), None
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with one entry point, for this test alone."""
    (tmp_path / "toy_models.py").write_text(TOY)
    metadata = tmp_path / "toy_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-models\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda entry: (metadata / "entry_points.txt").write_text(f"[nnpmm.models]\n{entry}\n")
    sys.modules.pop("toy_models", None)


def test_family_of_another_package_is_found(install):
    with pytest.raises(ModelError, match="found the model 'toy-spring', known: ANI-2x"):
        load_model("toy-spring")
    install("toys = toy_models:TOYS")
    model = load_model("toy-spring", device="cpu", stiffness=3.0)
    assert isinstance(model, FunctionModel)
    assert model.name == "toy-spring 3 on cpu"
    assert load_model("toy-spring").name == "toy-spring 1 on auto"
    with pytest.raises(ModelError, match=r"for more, a toy$|openmm-ml knows, a toy$"):
        load_model("no-such")


def test_default_options_are_not_passed(install):
    """A family receives only options that the caller set, so it need not accept all options."""
    install("toys = toy_models:TOYS")
    model = load_model("toy-spring", None, "auto", "auto", precision="single", weights=None)
    assert model.name == "toy-spring 1 on auto"


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"members": 0}, "the option members"),
        ({"precision": "double", "colour": "red"}, "the options colour, precision"),
        ({"members": "auto"}, "the option members"),
        ({"backend": "single"}, "the option backend"),
    ],
)
def test_unsupported_option_of_a_family_is_refused(install, choice, found):
    install("toys = toy_models:TOYS")
    message = f"toy-spring: found {found}, the family toys takes: device, stiffness; leave"
    with pytest.raises(ModelError, match=message) as caught:
        load_model("toy-spring", **choice)
    assert "\n" not in str(caught.value)


def test_misspelt_option_is_refused():
    takes = "members, backend, device, precision, threads, weights"
    with pytest.raises(ModelError, match=f"option member, the family ANI takes: {takes}"):
        load_model("ANI-1x", member=0)


def test_name_in_two_families_is_refused(install):
    install("rivals = toy_models:RIVALS")
    with pytest.raises(ModelError, match="'ANI-1x' in the families 'ANI' and 'rivals', allowed"):
        load_model("ANI-1x")
    assert isinstance(load_model("ANI-1x", family="ANI", members=0), AniModel)
    assert isinstance(load_model("ANI-1x", family="rivals"), FunctionModel)
    with pytest.raises(
        ModelError, match=r"family 'toys', known families: ANI, AIMNet2, model\.json, "
    ):
        load_model("ANI-1x", family="toys")
    with pytest.raises(ModelError, match=r"model 'toy-spring', known: ANI-2x, .*-1ccx$"):
        load_model("toy-spring", family="ANI")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("toys = no_such_toys:TOYS", "ModuleNotFoundError: No module named 'no_such_toys'"),
        ("toys = toy_models:NOTHING", "TypeError: found NoneType, expected a ModelFamily"),
        ("ANI = toy_models:RIVALS", "ValueError: a family of that name exists already"),
    ],
)
def test_broken_package_does_not_affect_the_others(install, entry, reason):
    install(entry)
    with pytest.warns(UserWarning, match="is left out") as caught:
        assert isinstance(load_model("ANI-1x", members=0), AniModel)
    assert reason in str(caught[0].message)
    left_out = [f for f in diagnose() if f.subject == "left out"]
    assert [f.ok for f in left_out] == [None]
    assert reason in left_out[0].detail


def test_doctor_lists_families_and_names(install):
    install("toys = toy_models:TOYS")
    found = {f.subject: f.detail for f in diagnose() if f.group == "model family"}
    assert list(found) == ["ANI", "AIMNet2", "model.json", "TorchScript", "openmm-ml", "toys"]
    assert found["ANI"] == "ANI-2x, ANI-1x, ANI-1ccx"
    assert found["model.json"] == "a model.json"
    assert found["toys"] == "toy-spring"


@pytest.mark.parametrize("title", ["ANI", "AIMNet2", "model.json", "TorchScript", "openmm-ml"])
def test_every_listed_name_belongs_to_one_family(title):
    family = families()[title]
    assert isinstance(family, ModelFamily)
    for name in family.names():
        assert find_family(name) == (title, family)


@pytest.mark.parametrize("name", ["ani2x", "ANI_1x", "aimnet2", "model.json", "x.pt"])
def test_name_is_found_without_torch(name):
    code = "import sys; from nnpmm.models import find_family; find_family(sys.argv[1]);"
    code += "print(*{'torch', 'openmmml'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
