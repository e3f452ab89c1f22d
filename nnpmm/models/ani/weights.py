"""Find ANI's weights; the first source that has them is used.

1. a NeuroChem folder given by the caller or by ``NNPMM_MODEL_DIR``;
2. nnpmm's cache (``NNPMM_CACHE_DIR``, else ``$XDG_CACHE_HOME/nnpmm``, else ``~/.cache/nnpmm``);
3. the installed torchani (the 2.2.4 wheel contains all of ANI-1x; its other files are empty);
4. the official model zoo, downloaded once into the cache unless ``NNPMM_OFFLINE`` is set.

Whatever the source, the parameters read are compared with the digest of the published ones.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnpmm.core.errors import ModelError, WeightsError
from nnpmm.models.ani.neurochem import read_neurochem
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.storage import load_parameters, save_parameters
from nnpmm.models.downloads import download
from nnpmm.models.weight_sources import (
    WeightsSource,
    cache_path,
    cache_source,
    download_source,
    first_available,
    given_paths,
    with_published_digest,
)

__all__ = [
    "PUBLISHED",
    "FoundWeights",
    "download_weights",
    "find_weights",
    "sources",
]

MODEL_ZOO_URL = (
    "https://github.com/aiqm/ani-model-zoo/archive/3a3368bb1b6d3ae707235f7f1dedcbb7b8b8cbc2.zip"
)


@dataclass(frozen=True)
class PublishedModel:
    """A published ensemble: folder in the model zoo, digest of the parameters, paper."""

    folder: str
    digest: str
    reference: str


PUBLISHED: dict[str, PublishedModel] = {
    "ANI-2x": PublishedModel(
        "ani-2x_8x",
        "0eea3a24e893c55eee3f19497a0e765231f5b3d660d3e6400454967749d1565a",
        "Devereux et al., J. Chem. Theory Comput. 2020, 16, 4192",
    ),
    "ANI-1x": PublishedModel(
        "ani-1x_8x",
        "4c65c4a6d067a51fd7ade6df7ec408d4e59b73827f943d91ee8af93d5e2c86b5",
        "Smith et al., J. Chem. Phys. 2018, 148, 241733",
    ),
    "ANI-1ccx": PublishedModel(
        "ani-1ccx_8x",
        "334f20c44e55b5a2082d30040aa8f797d116154cd2b5dcdbea6d9b844e2b7428",
        "Smith et al., Nat. Commun. 2019, 10, 2903",
    ),
}


@dataclass(frozen=True)
class FoundWeights:
    """Parameters of a whole published ensemble and a line that says where they were found."""

    parameters: AniParameters
    source: str


def find_weights(name: str, weights: str | os.PathLike[str] | None = None) -> FoundWeights:
    """Return the parameters of a published ANI model from the first source that has them.

    Args:
        name: ``"ANI-2x"``, ``"ANI-1x"`` or ``"ANI-1ccx"``.
        weights: a NeuroChem folder of one model or of several, before all other sources.

    Raises:
        ModelError: the name is not a published model.
        WeightsError: no source has the weights, or what was found is not the published model.
    """
    if name not in PUBLISHED:
        raise ModelError(f"found the ANI model {name!r}, known models: {', '.join(PUBLISHED)}")
    return FoundWeights(
        *first_available(
            sources(name, weights),
            read=lambda source, path: _read(source, path, name),
            download=lambda: (
                load_parameters(download_weights(name, MODEL_ZOO_URL)),
                MODEL_ZOO_URL,
            ),
            remedies=lambda reason: _remedies(name, reason),
        )
    )


def sources(name: str, weights: str | os.PathLike[str] | None = None) -> Iterator[WeightsSource]:
    """Yield every place where the weights may lie, in the order in which they are tried.

    Raises:
        WeightsError: a folder that the caller or ``NNPMM_MODEL_DIR`` names does not exist, or the
            folder that the caller names does not contain the model.
    """
    folder = PUBLISHED[name].folder
    for kind, given in given_paths(weights):
        yield _neurochem_source(kind, given, folder, required=kind == "weights")
    yield cache_source(_cache_path(name))
    yield _torchani_source(folder)
    yield download_source(MODEL_ZOO_URL)


def download_weights(name: str, url: str = MODEL_ZOO_URL) -> Path:
    """Download the model zoo's archive and keep one model in the cache; return the cached file.

    The archive goes to a temporary folder; only parameters whose digest is the published one are
    renamed into the cache, so that an interrupted download leaves nothing behind.

    Raises:
        OSError: the download failed.
        WeightsError: the archive does not contain the published parameters.
    """
    cached = _cache_path(name)
    cached.parent.mkdir(parents=True, exist_ok=True)
    folder = PUBLISHED[name].folder
    with tempfile.TemporaryDirectory(dir=cached.parent) as temporary:
        archive = Path(temporary) / "model-zoo.zip"
        download(url, archive, f"Downloading {name}")
        with zipfile.ZipFile(archive) as zipped:
            wanted = [entry for entry in zipped.namelist() if f"/{folder}/" in f"/{entry}"]
            if not wanted:
                raise WeightsError(f"{url}: the archive contains no folder {folder}")
            zipped.extractall(temporary, members=wanted)
            root = Path(temporary) / wanted[0].split(f"{folder}/")[0] / folder
        save_parameters(_verified(read_neurochem(root, name), name, url), cached)
    return cached


def _read(source: WeightsSource, path: Path, name: str) -> AniParameters:
    if source.kind == "cache":
        parameters = load_parameters(path)
        remedy = f"{path} (delete it and try again)"
        return _verified(parameters, name, remedy)
    return _verified(read_neurochem(path, name), name, str(path))


def _verified(parameters: AniParameters, name: str, origin: str) -> AniParameters:
    return with_published_digest(parameters, name, PUBLISHED[name].digest, origin)


def _neurochem_source(kind: str, given: Path, folder: str, *, required: bool) -> WeightsSource:
    if not given.is_dir():
        raise WeightsError(
            f"{kind}: found no folder {given}, expected one that has {folder} in NeuroChem layout"
        )
    for path in (given / folder, given):
        if path.name == folder and any(path.glob("train[0-9]*")):
            return WeightsSource(kind, path, True, "")
    if required:
        raise WeightsError(f"{kind}: {given} contains no folder {folder}; give its parent folder")
    return WeightsSource(kind, given / folder, False, "not there")


def _torchani_source(folder: str) -> WeightsSource:
    spec = importlib.util.find_spec("torchani")  # finds the package without importing it
    if spec is None or spec.origin is None:
        return WeightsSource("torchani", None, False, "torchani is not installed")
    path = Path(spec.origin).parent / "resources" / folder
    # The wheel contains zero-byte placeholders for the models that it leaves out.
    available = any(file.stat().st_size > 0 for file in path.glob("*.params"))
    return WeightsSource("torchani", path, available, "" if available else "left out of the wheel")


def _cache_path(name: str) -> Path:
    return cache_path(name, PUBLISHED[name].digest)


def _remedies(name: str, reason: str) -> str:
    return (
        f"found no weights of {name} ({reason}); set NNPMM_MODEL_DIR or weights=... to a folder "
        f"that contains {PUBLISHED[name].folder} in NeuroChem layout, or connect to the network to "
        f"fetch {MODEL_ZOO_URL}, or use ANI-1x, which is part of the torchani wheel"
    )
