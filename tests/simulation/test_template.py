"""The template lists active settings first, then alternatives."""

from __future__ import annotations

import yaml

from nnpmm import simulation
from nnpmm.simulation import RunConfig


def test_active_settings_come_before_other_kinds_of_systems():
    lines = simulation.template().splitlines()
    active = [i for i, line in enumerate(lines) if line and not line.lstrip().startswith("#")]
    others = [i for i, line in enumerate(lines) if line == "# system:"]
    assert len(others) == 6 and max(active) < min(others)
    assert lines.index("region:") < 40


def test_every_kind_of_system_is_valid_when_uncommented():
    text = simulation.template()
    first, *others = text.split("# or, in place of the system above:\n")
    kinds = [yaml.safe_load(first)["system"]["type"]]
    for block in others:
        section = yaml.safe_load("\n".join(line[2:] for line in block.splitlines()))
        settings = {**yaml.safe_load(first), **section}
        kinds.append(RunConfig.model_validate(settings).system.type)
    assert kinds == ["amber", "gromacs", "charmm", "tinker", "amoeba", "openmm", "build"]
