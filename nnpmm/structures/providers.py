"""Sources of a ligand's force-field parameters, by name."""

from __future__ import annotations

from typing import Literal

__all__ = ["PROVIDERS", "Provider"]

#: See `nnpmm.structures.parameterize`.
Provider = Literal["auto", "openff", "amber", "amber-abcg2", "fallback"]
#: What a setting of this kind says about itself.
PROVIDERS = (
    "openff (OpenFF toolkit), amber (AmberTools: GAFF2 and AM1-BCC), amber-abcg2 (the same with "
    "ABCG2), fallback (rdkit), or auto: the first of openff, amber and fallback that is installed"
)
