"""A job: a function, its inputs, and its output."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.files import sha256_of

__all__ = ["Attempt", "Job", "JobReport", "Output"]


@dataclass(frozen=True)
class Attempt:
    """The arguments of one attempt of a job, for its function.

    Attributes:
        work: separate folder, deleted when the job has ended, unless the job has a ``folder``. It
            is kept if the function is called again after a kill, so that it can continue there.
        seed: 1 to 2^31 - 1, different for each job and attempt.
        threads: that the function may use.
        number: of the attempt, from 0.
    """

    work: Path
    seed: int
    threads: int = 1
    number: int = 0


@dataclass(frozen=True)
class Output:
    """The result of a job's function: named arrays, and a JSON record that describes them."""

    arrays: Mapping[str, NDArray[Any]]
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A calculation whose result is one file.

    Attributes:
        name: unique in its campaign; may have several parts, as in ``DOPC/C1-P4``.
        function: at the top of a module or script, so that other processes can import it; it is
            called with the inputs as keywords and the ``Attempt`` as ``attempt``, and returns an
            ``Output``.
        inputs: all that the output depends on: JSON, settings (pydantic) and paths of files.
        seed: of the campaign; the seeds of all attempts are derived from it.
        needs: name of the preparation that must finish before, or None.
        folder: to work in. It is kept, so that a long job continues after the campaign was killed;
            a second attempt uses a subfolder. It does not count as an input. None: a folder in the
            scratch folder.

    Raises:
        ConfigError: the name is not a relative path, or leads out of its folder.
    """

    name: str
    function: Callable[..., Output]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    needs: str | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if any(part in ("", ".", "..") for part in parts) or set(self.name) & {"\\", "\0"}:
            raise ConfigError(
                f"found the job {self.name!r}, allowed: names like those of files, such as a or a/b"
            )

    @property
    def key(self) -> str:
        """SHA-256 of the name, the function's name, the seed, the inputs, and the content of files.

        This includes files that settings name. Changes of the function's code or in a folder that
        is an input do not change the key.

        Raises:
            InputFileError: a file that is an input cannot be read.
            TypeError: an input is neither JSON, nor settings, nor a path.
        """
        function = f"{self.function.__module__}.{self.function.__qualname__}"
        identity = [self.name, function, self.seed, dict(self.inputs)]
        text = json.dumps(identity, sort_keys=True, default=_as_json)
        return sha256_of(text.encode())


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()  # paths remain paths
    if isinstance(value, Path):
        if value.is_dir():
            return {"folder": str(value)}
        try:
            return {"sha256": sha256_of(value.read_bytes())}
        except OSError as error:
            raise InputFileError(
                f"{value}: cannot be read ({error.strerror or error}); it is an input of a job"
            ) from error
    raise TypeError(
        f"found a {type(value).__name__} among the inputs of a job, allowed: JSON, settings and "
        "paths of files"
    )


@dataclass(frozen=True)
class JobReport:
    """How a job ended; ``reasons`` contains a line for each failed attempt and each kill."""

    name: str
    done: bool
    seconds: float
    reasons: tuple[str, ...] = ()
