"""Settings of networks on molecular graphs, and of their training."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Section, SettingsPath
from nnpmm.graphs.splits import SplitKind

__all__ = ["FinetuningSettings", "GraphSettings", "PretrainingSettings", "SpatialSettings"]


class GraphSettings(Section):
    """Size of the network of the bonds."""

    width: int = Field(48, ge=1, description="width of the state of each atom")
    layers: int = Field(3, ge=1, description="number of layers of messages between bonded atoms")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the state of the molecule")


class SpatialSettings(Section):
    """Size of the network of the distances; a small one teaches best (Stärk et al. 2022)."""

    width: int = Field(20, ge=1, description="width of the state of each atom and each pair")
    layers: int = Field(1, ge=1, description="number of layers of messages between all atoms")
    frequencies: int = Field(
        4, ge=0, description="number of frequencies of the sines and cosines of each distance"
    )


class PretrainingSettings(Section):
    """Learning from geometries."""

    molecules: tuple[SettingsPath, ...] = Field(
        min_length=1, description="CSV files with tables of molecules"
    )
    smiles: str = Field("smiles", description="name of the column of SMILES in all tables")
    leave_out: tuple[SettingsPath, ...] = Field(
        (), description="tables of molecules to leave out, with all their stereoisomers"
    )
    recombined: int = Field(
        0, ge=0, description="number of additional molecules, each made of halves of two others"
    )
    most_atoms: int = Field(
        50, ge=2, description="largest number of heavy atoms; larger molecules are left out"
    )
    conformers: int = Field(4, ge=1, le=100, description="number of conformers of each molecule")
    conformer_folder: SettingsPath | None = Field(
        None,
        description="folder that keeps conformers for other runs; null: the folder of this run",
    )
    network: GraphSettings = GraphSettings()
    spatial: SpatialSettings = SpatialSettings()
    common: int = Field(
        128, ge=1, description="width of the common space in which both networks agree"
    )
    temperature: float = Field(0.1, gt=0, description="temperature of the loss; published: 0.1")
    validation: float = Field(
        0.05, gt=0, lt=0.5, description="fraction of the molecules for validation"
    )
    batch: int = Field(
        128, ge=2, description="number of molecules in a batch, each compared with all others"
    )
    epochs: int = Field(100, ge=1, description="number of epochs; a larger one continues a run")
    learning_rate: float = Field(
        5e-4, gt=0, allow_inf_nan=False, description="learning rate of Adam"
    )
    seed: int = Field(
        1, ge=0, description="random seed of weights, batches, conformers and recombination"
    )


class FinetuningSettings(Section):
    """Learning a property of molecules."""

    data: SettingsPath = Field(description="CSV file with the molecules")
    smiles: str = Field("smiles", description="name of the column of SMILES")
    value: str = Field(description="name of the column of the property")
    pretrained: SettingsPath | None = Field(
        None,
        description="model.json of nnpmm graphs pretrain, or of another property; none: random "
        "weights",
    )
    network: GraphSettings | None = Field(
        None, description="size of the network; only without 'pretrained', which has its own"
    )
    split: SplitKind = Field(
        "random", description="how test molecules are chosen: random or scaffold"
    )
    split_seed: int = Field(0, ge=0, description="random seed of the choice of test molecules")
    test: float = Field(0.1, gt=0, le=0.5, description="fraction of the molecules for the test")
    validation: float = Field(
        0.1,
        gt=0,
        le=0.5,
        description="fraction of the others for validation, which chooses the best epoch",
    )
    members: int = Field(1, ge=1, le=50, description="number of networks that are averaged")
    batch: int = Field(64, ge=2, description="number of molecules in a batch")
    epochs: int = Field(100, ge=1, description="largest number of epochs")
    patience: int = Field(
        30, ge=1, description="stop after so many epochs without a better validation error"
    )
    learning_rate: float = Field(
        1e-3, gt=0, allow_inf_nan=False, description="learning rate of Adam"
    )
    weight_decay: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="decoupled weight decay (AdamW)"
    )
    seed: int = Field(
        1,
        ge=0,
        description="random seed of weights, batches and the choice of validation molecules",
    )

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if self.pretrained is not None and self.network is not None:
            raise ValueError("found 'pretrained' and 'network': give one of them")
        return self
