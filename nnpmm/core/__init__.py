"""Common basis of all packages: errors, units, constants, geometry, files, settings.

Arrays on disk are in ``nnpmm.core.arrays``, which imports numpy and safetensors, and the base of
settings in ``nnpmm.core.section``, which imports pydantic.
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
