from __future__ import annotations

import copy
import re

import pytest
import yaml
from openmm import unit

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation import RunConfig, load_config, parse_config, template

GOOD = {
    "system": {"type": "amber", "topology": "a.prmtop", "coordinates": "a.rst7"},
    "region": {"selection": "resname LIG", "model": "ANI-2x"},
}


def changed(**changes):
    """Return valid settings with changed values; ``__`` separates sections and keys."""
    data = copy.deepcopy(GOOD)
    for place, value in changes.items():
        *sections, key = place.split("__")
        at = data
        for section in sections:
            at = at.setdefault(section, {})
        at[key] = value
    return data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"timestp": "2 fs"},
            "md.yaml: unknown key 'timestp' in the top level; did you mean 'timestep'? allowed: ",
        ),
        (
            {"stages__warmup__lengh": 3},
            "unknown key 'lengh' in 'stages.warmup'; did you mean 'length'? allowed: length, ",
        ),
        ({"system__cutof": 1}, "unknown key 'cutof' in 'system'; did you mean 'cutoff'?"),
        ({"ensemble__temperature": "-3 K"}, "ensemble.temperature: found -3 K, must be > 0"),
        ({"ensemble__temperature": 0}, "ensemble.temperature: found 0, must be > 0"),
        ({"ensemble__temperature": "3 fs"}, "ensemble.temperature: found a quantity in femtosec"),
        ({"ensemble__temperature": "3 parsec"}, "ensemble.temperature: found the unit 'parsec'"),
        ({"ensemble__temperature": True}, "ensemble.temperature: found True, expected a number"),
        ({"ensemble__type": "NVE"}, "ensemble.type: found 'NVE', allowed: 'NVT', 'NPT'"),
        ({"system__type": "foo"}, "system: found type 'foo', allowed: amber, gromacs, charmm, "),
        ({"system": {}}, "system: the key 'type' is missing; allowed: amber, gromacs"),
        (
            {"system": {"type": "amber", "topology": "a"}},
            "system: the key 'coordinates' is missing",
        ),
        ({"system__coordinates": 3}, "system.coordinates: found 3, must be a text"),
        ({"ensemble": 3}, "ensemble: found 3, must be a section with keys such as type"),
        ({"region__nnpfile": "m.json"}, "region: 'nnpfile' already has 'selection'"),
        ({"region": {}}, "region: give either 'nnpfile', or 'selection' and 'model'"),
        ({"region": {"model": "ANI-2x"}}, "region: give either 'nnpfile', or 'selection'"),
        ({"region": {"selection": "all"}}, "region: give either 'nnpfile', or 'selection'"),
        ({"timestep": "0 fs"}, "timestep: found 0 fs, must be > 0"),
        ({"timestep": "1e400 fs"}, "timestep: found '1e400 fs', input should be a finite number"),
        ({"timestep": "nan"}, "timestep: found 'nan', expected a number with a unit"),
        (
            {"stages__production": {"length": "10.0005 ps"}},
            "stages.production.length: found 10.0005 ps, must be a whole multiple of the time step",
        ),
        (
            {"timestep": "2 fs", "output__log_interval": "5 fs"},
            "output.log_interval: found 0.005 ps, must be a whole multiple of the time step 0.002",
        ),
        (
            {"output__log_interval": "0.2 fs"},
            "output.log_interval: found 0.0002 ps, must be a whole",
        ),
        ({"stages__production": {}}, "stages.production: the key 'length' is missing"),
        (
            {"stages": dict.fromkeys(("minimize", "warmup", "equilibrate", "production"))},
            "stages: every stage is null",
        ),
        ({"seed": 0}, "seed: found 0, must be >= 1"),
        ({"system": {"type": "build"}}, "system: exactly one of 'smiles' and 'ligand'"),
        (
            {"system": {"type": "build", "smiles": "C", "protein": "p.pdb"}},
            "system: 'protein' needs 'ligand' as a file",
        ),
    ],
)
def test_invalid_setting_gives_one_line_that_names_it(changes, message):
    with pytest.raises(ConfigError) as raised:
        parse_config(changed(**changes), source="md.yaml")
    assert str(raised.value).startswith("md.yaml: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_strings_with_units_and_quantities_are_equivalent():
    texts = [0.002, "2 fs", "0.002 ps", 2 * unit.femtosecond]
    found = {parse_config(changed(timestep=text)).timestep for text in texts}
    assert found == {0.002}
    assert parse_config(changed(region__members=3)).region.members == (3,)


def test_paths_are_relative_to_the_settings_file(tmp_path):
    path = tmp_path / "md.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    config = load_config(path)
    assert config.system.topology == tmp_path / "a.prmtop"
    assert config.output.directory == tmp_path / "output"


@pytest.mark.parametrize("name", ["nets/m.pt", "model.json"])
def test_model_file_is_relative_to_the_settings_file(tmp_path, name):
    config = parse_config(changed(region__model=name), base=tmp_path)
    assert config.region.model == str(tmp_path / name)
    dumped = config.model_dump(mode="json", context={"base": tmp_path / "deep"})
    assert dumped["region"]["model"] == f"../{name}"
    assert parse_config(dumped, base=tmp_path / "deep") == config


def test_name_of_a_model_is_not_read_as_a_path(tmp_path):
    config = parse_config(changed(region__model="mace-off23-small"), base=tmp_path)
    assert config.region.model == "mace-off23-small"
    dumped = config.model_dump(mode="json", context={"base": tmp_path / "deep"})
    assert dumped["region"]["model"] == "mace-off23-small"


def test_settings_are_unchanged_by_a_round_trip(tmp_path):
    config = parse_config(changed(ensemble__pressure="1.01325 bar", timestep="1.5 fs",
                                  output__log_interval="3 fs", output__trajectory_interval="3 fs",
                                  output__checkpoint_interval="3 fs",
                                  stages={"warmup": {"length": "6 fs"}, "equilibrate": None,
                                          "production": None}), base=tmp_path)  # fmt: skip
    dumped = config.model_dump(mode="json", context={"base": tmp_path / "deep"})
    assert dumped["system"]["topology"] == "../a.prmtop"
    assert parse_config(yaml.safe_load(yaml.safe_dump(dumped)), base=tmp_path / "deep") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML in line"),
        ("- 1", "found list, expected keys such as 'system'"),
        ("seed: 1\nseed: 2", "not valid YAML in line 2: the key 'seed' is given twice"),
        ("", "found NoneType, expected keys"),
    ],
)
def test_file_that_is_not_a_mapping_gives_one_line(tmp_path, text, message):
    path = tmp_path / "md.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as raised:
        load_config(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "read"), [("017", "15"), ("000", "0"), ("0x1", "1"), ("NO", "False"), ("12", "12")]
)
def test_residue_names_that_yaml_reads_as_numbers_are_refused(tmp_path, written, read):
    path = tmp_path / "md.yaml"
    text = "system: {{type: build, smiles: CCO, residue_name: {}}}\nregion: {{model: ANI-2x}}\n"
    path.write_text(text.format(f'"{written}"'))
    assert load_config(path).system.residue_name == written
    path.write_text(text.format(written))
    with pytest.raises(ConfigError, match=f"residue_name: found {read}, must be a text in quotes"):
        load_config(path)


def test_missing_settings_file_is_named(tmp_path):
    with pytest.raises(InputFileError, match=r"none\.yaml: cannot read the settings: No such file"):
        load_config(tmp_path / "none.yaml")


def test_template_is_valid_and_describes_every_field():
    text = template()
    config = parse_config(yaml.safe_load(text))
    assert config.system.type == "amber"
    assert max(len(line) for line in text.splitlines()) <= 100
    defaults = parse_config({**GOOD, "system": yaml.safe_load(text)["system"]})
    assert config == defaults  # the template shows the defaults


def test_each_commented_system_of_the_template_is_valid():
    blocks = re.findall(r"(?m)^# system:\n(?:^# .*\n)+", template())
    found = []
    for block in blocks:
        data = yaml.safe_load(re.sub(r"(?m)^# ", "", block))
        found.append(parse_config({**GOOD, **data}).system.type)
    assert found == ["gromacs", "charmm", "tinker", "amoeba", "openmm", "build"]


def test_every_field_is_described():
    def visit(model):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            default = field.get_default(call_default_factory=True, validated_data={})
            if hasattr(type(default), "model_fields"):
                visit(type(default))

    visit(RunConfig)


def test_region_at_the_top_level():
    """``nnpfile: model.json`` at the top level, without a section ``region``."""
    system = {"type": "openmm", "system": "s.xml", "structure": "s.pdb"}
    flat = parse_config({"system": system, "nnpfile": "model.json"})
    assert flat == parse_config({"system": system, "region": {"nnpfile": "model.json"}})
    flat = parse_config({"system": system, "selection": "resname LIG", "model": "ANI-2x"})
    assert flat.region.selection == "resname LIG"
    with pytest.raises(ConfigError, match="unknown key 'nnpfile' in the top level"):
        parse_config({"system": system, "region": {"model": "ANI-2x"}, "nnpfile": "model.json"})
