"""The search for the weights of a published model, whatever its family.

The order is: what the caller names, the folder in ``NNPMM_MODEL_DIR``, nnpmm's cache, an installed
package, a download. The parameters that are found must have the published digest.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nnpmm.core.errors import WeightsError
from nnpmm.core.files import cache_directory
from nnpmm.models.downloads import offline
from nnpmm.models.ensemble import EnsembleParameters

__all__ = [
    "WeightsSource",
    "cache_path",
    "cache_source",
    "download_source",
    "first_available",
    "given_paths",
    "with_published_digest",
]

_Parameters = TypeVar("_Parameters", bound=EnsembleParameters)


@dataclass(frozen=True)
class WeightsSource:
    """A place that may have weights: what it is, its path, and whether they are there."""

    kind: str
    path: Path | None
    available: bool
    detail: str


def given_paths(weights: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    """Yield what the caller and ``NNPMM_MODEL_DIR`` name, with the kind of source."""
    for kind, given in (
        ("weights", weights),
        ("NNPMM_MODEL_DIR", os.environ.get("NNPMM_MODEL_DIR")),
    ):
        if given:
            yield kind, Path(given)


def cache_path(name: str, digest: str) -> Path:
    """Return the file in nnpmm's cache for the parameters of a published model."""
    return cache_directory() / "models" / f"{name.lower()}-{digest[:12]}.safetensors"


def cache_source(path: Path) -> WeightsSource:
    """Return nnpmm's cache as a source."""
    return WeightsSource("cache", path, path.is_file(), "" if path.is_file() else "not there")


def download_source(what: str) -> WeightsSource:
    """Return a download as a source; ``what`` says what would be fetched."""
    detail = "NNPMM_OFFLINE is set" if offline() else what
    return WeightsSource("download", None, not offline(), detail)


def first_available(
    sources: Iterable[WeightsSource],
    read: Callable[[WeightsSource, Path], _Parameters],
    download: Callable[[], tuple[_Parameters, str]],
    remedies: Callable[[str], str],
) -> tuple[_Parameters, str]:
    """Return the parameters of the first source that has them, and a line that names it.

    Args:
        sources: in the order of the search.
        read: returns the parameters of a source from its path.
        download: returns the parameters from the network, and what was downloaded.
        remedies: returns the message for the reason why nothing was found.

    Raises:
        WeightsError: no source has the weights, or a source has other parameters.
    """
    for source in sources:
        if source.available and source.path is not None:
            return read(source, source.path), f"{source.kind}: {source.path}"
    if offline():
        raise WeightsError(remedies("NNPMM_OFFLINE is set"))
    try:
        parameters, what = download()
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(remedies(f"the download failed: {error}")) from error
    return parameters, f"downloaded: {what}"


def with_published_digest(
    parameters: _Parameters, name: str, digest: str, origin: str
) -> _Parameters:
    """Return parameters that are those of the published model.

    Args:
        parameters: as read.
        name: of the model.
        digest: of the published parameters.
        origin: where they were read, for the message.

    Raises:
        WeightsError: they have another digest.
    """
    found = parameters.digest()
    if found != digest:
        raise WeightsError(
            f"{origin}: the parameters are not those of the published {name} "
            f"(digest {found[:12]}, expected {digest[:12]}); fetch them again"
        )
    return parameters
