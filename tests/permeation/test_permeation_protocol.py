"""Presets and settings of the protocol."""

import pytest
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.permeation.martini.engine_choice import create_engine
from nnpmm.permeation.martini.engines import Stage
from nnpmm.permeation.runs.protocol import PRESETS, parse_changes, preset
from nnpmm.permeation.runs.simulations import bilayer_path


def test_published_lengths():
    paper, short = PRESETS["paper"], PRESETS["short"]
    assert (paper.nvt, paper.npt, paper.production) == (2000.0, 5000.0, 21000.0)
    assert paper.n_frames == 350 and short.n_frames == 100
    assert short.production == 6000.0
    assert (paper.equilibration_timestep, paper.production_timestep) == (0.02, 0.03)
    assert paper.frame_interval == pytest.approx(2000 * 0.03)
    assert paper.lipids_per_leaflet == 64 and paper.temperature == 300.0


def test_number_of_frames_matches_the_engines():
    """A rest shorter than the interval gives no frame; intervals are whole numbers of steps."""
    assert preset("short", production="10 ns").n_frames == 166
    assert preset("short", production="1 ns").n_frames == 16
    assert preset("short", frame_interval="70 ps").n_frames == 85  # of 2333 steps of 0.03 ps


def test_changes_with_units():
    changed = preset("short", **parse_changes(["production=9 ns", "temperature=310"]))
    assert changed.production == 9000.0 and changed.temperature == 310.0
    assert preset("short", npt=2 * unit.nanosecond).npt == 2000.0
    assert type(changed).model_validate(changed.model_dump(mode="json")) == changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["prodution=9 ns"], "prodution: Extra inputs .* known settings: lipids_per_leaflet"),
        (["production=9 K"], "production"),
        (["temperature=-3"], "temperature: Input should be greater than or equal to 200"),
        (["lipids_per_leaflet=4"], "greater than or equal to 9"),
        (["production=100 ps"], "a frame every 60 ps has 1 frames, expected 2 or more"),
        (["production"], "expected a setting such as"),
    ],
)
def test_invalid_changes_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        preset("short", **parse_changes(changes))
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="'long', known presets: paper, short"):
        preset("long")
    with pytest.raises(ConfigError, match="'lammps', known engines: auto, gromacs, openmm"):
        create_engine("lammps")


def test_settings_are_frozen_and_typed():
    with pytest.raises(ValueError, match="frozen"):
        PRESETS["paper"].npt = 1.0
    with pytest.raises(ValueError, match="less than or equal to"):
        Stage(name="a", length=1, timestep="50 fs", ensemble="NVT")


def test_cached_bilayers_depend_on_composition_and_protocol():
    base = preset("short")
    paths = {
        bilayer_path({"DOPC": 32}, base),
        bilayer_path({"DOPC": 64}, base),
        bilayer_path({"DPPC": 32}, base),
        bilayer_path({"DOPC": 32}, preset("short", temperature=310)),
        bilayer_path({"DOPC": 32}, preset("short", waters_per_lipid=10)),
        bilayer_path({"DOPC": 32}, preset("short", bilayer_relaxation="5 ns")),
    }
    assert len(paths) == 6
    assert bilayer_path({"DOPC": 32}, preset("paper")) == bilayer_path({"DOPC": 32}, base)
