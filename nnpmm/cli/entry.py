"""Entry points of the installed commands; importing this module takes no time."""

from __future__ import annotations

from nnpmm.cli.process import guarded

__all__ = ["nnpmm", "prepare_nnp"]


def nnpmm() -> None:
    """Entry point of ``nnpmm``."""
    with guarded():
        from nnpmm.cli.main import main

        main()


def prepare_nnp() -> None:
    """Entry point of ``prepare-nnp``."""
    with guarded():
        from nnpmm.cli.prepare import main

        main()
