"""What every part of nnpmm stands on: files, locks and the cache. It knows nothing of the rest.

Arrays on disk are in ``nnpmm.core.arrays``, which imports numpy and safetensors.
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

__all__ = [
    "UnwritableError",
    "cache_directory",
    "is_locked",
    "locked",
    "replacing",
    "require_folder",
    "require_suffix",
    "require_writable",
    "write_atomically",
]
