"""What is known of a trained network apart from its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm._version import __version__
from nnpmm.core.section import Section
from nnpmm.learning.metrics import Metrics
from nnpmm.learning.networks import NetworkSettings

__all__ = ["PARTS", "DataSummary", "ModelCard", "TrainingSettings"]

#: The parts that samples can have in a training; ``new`` samples were not in its data.
PARTS = ("train", "validation", "test", "new")

_Bounds = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]


class TrainingSettings(Section):
    """How a network is trained."""

    split: str = Field("random", description="random, GROUP or GROUP:VALUE,... (left out)")
    batch_size: int = Field(32, ge=1, description="number of samples in a batch")
    learning_rate: float = Field(3e-4, gt=0, allow_inf_nan=False, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False, description="decoupled (AdamW)")
    epochs: int = Field(
        1000, ge=1, description="number of epochs; the one with the best validation is kept"
    )
    anneal: bool = Field(
        False, description="the step falls to zero along a cosine, and the last epoch is kept"
    )
    members: int = Field(
        1, ge=1, description="number of networks with different random weights, which are averaged"
    )
    seed: int = Field(
        1, ge=0, description="random seed of split, weights, order of samples and dropout"
    )


class DataSummary(Section):
    """What a network was trained on."""

    sha256: str = Field(description="of the samples, features and labels")
    frames: int = Field(ge=1, description="of each sample")
    train: tuple[str, ...] = Field(description="names of the training samples")
    validation: tuple[str, ...] = Field(description="of those that chose the best epoch")
    test: tuple[str, ...] = Field(description="of those that the training never saw")

    def parts(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the part of each sample in the training, one of ``PARTS``, (samples,).

        Args:
            names: (samples,) of any samples.
        """
        known = {name: part for part in PARTS[:-1] for name in getattr(self, part)}
        return tuple(known.get(name, "new") for name in names)


class ModelCard(Section):
    """A description of trained networks of one architecture, without their weights."""

    schema_version: Literal[1] = 1
    nnpmm: str = Field(__version__, description="version that trained it")
    network: NetworkSettings
    minimum: _Bounds = Field(description="of each feature in the training samples")
    maximum: _Bounds = Field(description="of each feature in the training samples")
    training: TrainingSettings
    data: DataSummary
    kept_epochs: tuple[int, ...] = Field(description="of each member; the first is 1")
    error_scale: float = Field(
        gt=0, allow_inf_nan=False, description="factor on raw errors, from the validation samples"
    )
    metrics: dict[Literal["train", "validation", "test"], Metrics]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        counts = [len(bounds) for bounds in (self.minimum, self.maximum)]
        if counts != [self.network.n_features] * 2:
            raise ValueError(
                f"found {counts[0]} minima and {counts[1]} maxima for a network of "
                f"{self.network.n_features} features"
            )
        if any(low >= high for low, high in zip(self.minimum, self.maximum, strict=True)):
            raise ValueError("found a minimum that is not below its maximum")
        if len(self.kept_epochs) != self.training.members:
            raise ValueError(
                f"found {len(self.kept_epochs)} kept epochs of {self.training.members} members"
            )
        return self
