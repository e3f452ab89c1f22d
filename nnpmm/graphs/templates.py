"""Commented settings files of a pre-training and of the training of a property."""

from __future__ import annotations

from pathlib import Path

from nnpmm.core.settings.template import commented_file
from nnpmm.graphs.settings import FinetuningSettings, PretrainingSettings

__all__ = ["finetuning_template", "pretraining_template"]

_PRETRAINING = """\
# Every setting of a pre-training on geometries with its default. The tables of molecules are
# enough. Run it: nnpmm graphs pretrain pretraining.yaml"""
_FINETUNING = """\
# Every setting of the training of a property with its default. The table and the name of its
# column are enough. Run it: nnpmm graphs finetune property.yaml"""


def pretraining_template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    settings = PretrainingSettings(molecules=(Path("molecules.csv"),))
    return commented_file(settings, header=_PRETRAINING, shown={"molecules": "[molecules.csv]"})


def finetuning_template() -> str:
    """Return a commented YAML file with every setting, its default and its meaning."""
    settings = FinetuningSettings(data=Path("molecules.csv"), value="value")
    return commented_file(
        settings, header=_FINETUNING, shown={"data": "molecules.csv", "value": "value"}
    )
