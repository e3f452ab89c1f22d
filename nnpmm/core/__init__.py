"""What all packages share: errors, units, constants, geometry, files, settings.

This module offers only what needs no third-party package. Arrays on disk are in
``nnpmm.core.arrays``, which imports numpy and safetensors; the base class of settings is in
``nnpmm.core.section``, which imports pydantic.
"""

from nnpmm.core.files import (
    UnwritableError,
    cache_directory,
    replacing,
    require_folder,
    require_suffix,
    require_writable,
    write_atomically,
)
from nnpmm.core.locks import is_locked, locked
from nnpmm.core.versions import installed_version

__all__ = [
    "UnwritableError",
    "cache_directory",
    "installed_version",
    "is_locked",
    "locked",
    "replacing",
    "require_folder",
    "require_suffix",
    "require_writable",
    "write_atomically",
]
