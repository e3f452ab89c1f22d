"""Settings that a calculation keeps in its folder."""

import pytest

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.fields import Section, SettingsPath
from nnpmm.core.settings.folder import read_stored_settings, store_settings


class _Settings(Section):
    molecule: SettingsPath
    count: int = 1


def test_what_may_change_and_what_may_not(tmp_path):
    path = tmp_path / "settings.json"
    first = _Settings(molecule=tmp_path / "a.sdf")
    store_settings(first, path, ("molecule",))
    longer = first.model_copy(update={"count": 2})
    store_settings(longer, path, ("molecule",))
    assert read_stored_settings(_Settings, path) == longer
    other = _Settings(molecule=tmp_path / "b.sdf")
    with pytest.raises(ConfigError, match=r"was started with molecule .*a\.sdf, found .*b\.sdf"):
        store_settings(other, path, ("molecule",))
    assert read_stored_settings(_Settings, path) == longer


@pytest.mark.parametrize("text", ['{"molecule": "a.s', "[]", '{"molecule": "a", "size": 1}'])
def test_settings_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises((InputFileError, ConfigError), match=r"settings\.json"):
        store_settings(_Settings(molecule=tmp_path / "a"), path, ("molecule",))
    assert path.read_text() == text


def test_a_folder_of_another_calculation_is_refused(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"bonds": [[1, 2]], "molecule": "CCO"}')
    with pytest.raises(ConfigError, match=r"another kind .* \(found the setting 'bonds'\)"):
        store_settings(_Settings(molecule=tmp_path / "a.sdf"), path, ())
