"""What a network of molecules is, and how it learns."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Section, SettingsPath
from nnpmm.graphs.splits import SplitKind

__all__ = ["FinetuningSettings", "GraphSettings", "PretrainingSettings", "SpatialSettings"]


class GraphSettings(Section):
    """Size of the network of the bonds."""

    width: int = Field(48, ge=1, description="of the state of each atom")
    layers: int = Field(3, ge=1, description="how often atoms hear of their neighbours")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the state of the molecule")


class SpatialSettings(Section):
    """Size of the network of the distances; a small one teaches best (Stärk et al. 2022)."""

    width: int = Field(20, ge=1, description="of the state of each atom and each pair")
    layers: int = Field(1, ge=1, description="how often atoms hear of the others")
    frequencies: int = Field(4, ge=0, description="of the sines and cosines of each distance")


class PretrainingSettings(Section):
    """Learning from geometries."""

    molecules: tuple[SettingsPath, ...] = Field(
        min_length=1, description="tables of molecules, CSV files"
    )
    smiles: str = Field("smiles", description="name of the column of SMILES in all tables")
    leave_out: tuple[SettingsPath, ...] = Field(
        (), description="tables of molecules that are not to be seen, in no stereoisomer"
    )
    recombined: int = Field(
        0, ge=0, description="molecules made of halves of two of the others, in addition"
    )
    most_atoms: int = Field(50, ge=2, description="heavy atoms; larger molecules are left out")
    conformers: int = Field(4, ge=1, le=100, description="of each molecule")
    conformer_folder: SettingsPath | None = Field(
        None, description="that keeps conformers for other runs; none: in the folder of this run"
    )
    network: GraphSettings = GraphSettings()
    spatial: SpatialSettings = SpatialSettings()
    common: int = Field(128, ge=1, description="numbers of which both networks have to agree")
    temperature: float = Field(0.1, gt=0, description="of the loss; published: 0.1")
    validation: float = Field(0.05, gt=0, lt=0.5, description="share of the molecules")
    batch: int = Field(128, ge=2, description="molecules in a batch, each told from the others")
    epochs: int = Field(100, ge=1, description="may grow when a run goes on")
    learning_rate: float = Field(5e-4, gt=0, allow_inf_nan=False, description="of Adam")
    seed: int = Field(1, ge=0, description="of weights, batches, conformers and recombination")


class FinetuningSettings(Section):
    """Learning a property of molecules."""

    data: SettingsPath = Field(description="table of molecules, a CSV file")
    smiles: str = Field("smiles", description="name of the column of SMILES")
    value: str = Field(description="name of the column of the property")
    pretrained: SettingsPath | None = Field(
        None,
        description="model.json of nnpmm graphs pretrain, or of another property; none: random "
        "weights",
    )
    network: GraphSettings | None = Field(
        None, description="only without 'pretrained', which has its own"
    )
    split: SplitKind = Field("random", description="of the tested molecules: random or scaffold")
    split_seed: int = Field(0, ge=0, description="of tested molecules that are drawn at random")
    test: float = Field(0.1, gt=0, le=0.5, description="share of the molecules")
    validation: float = Field(
        0.1, gt=0, le=0.5, description="share of the others, which choose the best epoch"
    )
    members: int = Field(1, ge=1, le=50, description="networks that are averaged")
    batch: int = Field(64, ge=2, description="molecules in a batch")
    epochs: int = Field(100, ge=1, description="at most")
    patience: int = Field(30, ge=1, description="epochs without a better one, to stop after")
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False, description="decoupled (AdamW)")
    seed: int = Field(1, ge=0, description="of weights, batches and the validation molecules")

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if self.pretrained is not None and self.network is not None:
            raise ValueError("found 'pretrained' and 'network': give one of them")
        return self
