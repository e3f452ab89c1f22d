"""Train variables on features along trajectories, with mlcolvar's networks.

| kind | network | what it minimises |
| --- | --- | --- |
| autoencoder | encoder and decoder | mean squared error of the features |
| time-lagged | encoder and decoder | mean squared error of the features one lag later |
| deep-tica | features to variables | minus the squared eigenvalues of TICA in the outputs |

Autoencoder: Belkacemi et al., J. Chem. Theory Comput. 2022, 18, 59; time-lagged: Wehmeyer and Noe,
J. Chem. Phys. 2018, 148, 241703; Deep-TICA: Bonati, Piccini and Parrinello, PNAS 2021, 118,
e2113533118.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from nnpmm.core.errors import ConfigError, OptionalDependencyError, SimulationError
from nnpmm.core.section import Section
from nnpmm.sampling.learned.features import FeatureSet
from nnpmm.sampling.learned.projection import Kind, Projection, ProjectionRecord
from nnpmm.sampling.variables.variable import Structure

__all__ = ["Learned", "LearningSettings", "learn"]

_MIN_SAMPLES = 100  # pairs or frames
_VERBOSE_PACKAGES = ("lightning", "lightning_fabric", "lightning_utilities", "pytorch_lightning")
_MIN_BATCHES = 8  # per epoch


class LearningSettings(Section):
    """How a variable is learned."""

    kind: Kind = "autoencoder"
    variables: int = Field(1, ge=1, le=3, description="number of variables")
    lag: int = Field(
        1, ge=1, description="frames between the two frames of a pair; not for autoencoder"
    )
    hidden: tuple[int, ...] = Field((32, 16), min_length=1, description="widths of hidden layers")
    epochs: int = Field(300, ge=1)
    patience: int = Field(
        50, ge=1, description="stop after so many epochs without a better validation loss"
    )
    learning_rate: float = Field(1e-3, gt=0)
    batch: int = Field(1000, ge=10, description="frames or pairs")
    seed: int = Field(1, ge=0)


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained variable.

    Attributes:
        projection: the network, whose outputs have mean 0 and standard deviation 1 in training.
        training: (epochs,) loss on the training data.
        validation: (epochs,) loss on the validation data.
        best: epoch with the least validation loss, counted from 1, whose weights are used.
    """

    projection: Projection
    training: NDArray[np.float64]
    validation: NDArray[np.float64]
    best: int


def learn(
    features: FeatureSet,
    runs: Sequence[NDArray[np.float64]],
    structure: Structure,
    settings: LearningSettings,
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Learned:
    """Train a network on the frames of runs.

    Args:
        features: input of the network.
        runs: for each run, positions (frames, n, 3) nm of the features' atoms in order of time.
        structure: structure of the system.
        settings: settings of network and training.
        progress: called with the number of finished epochs and the largest number of epochs.

    Raises:
        OptionalDependencyError: mlcolvar is not installed.
        ConfigError: too few frames, or as many variables as features.
        SimulationError: the training fails, or a variable is constant.
    """
    if settings.variables >= features.count:
        raise ConfigError(
            f"found {features.count} features, needed: more than the {settings.variables} "
            "variable(s)"
        )
    values = [_features_of(features, run) for run in runs]
    data = _pairs(values, settings)
    with _quiet():
        model, (training, validation) = _fit(data, settings, progress)
    best = int(np.argmin(validation)) + 1
    training_record = {
        **settings.model_dump(mode="json"),
        "samples": len(data["data"]),
        "best_epoch": best,
        "validation_loss": float(validation[best - 1]),
    }
    record = _record(features, structure, settings, training_record)
    projection = _standardized(
        Projection(record, _arrays(model, settings.kind)), torch.from_numpy(np.concatenate(values))
    )
    return Learned(projection, training, validation, best)


def _standardized(raw: Projection, features: torch.Tensor) -> Projection:
    """Return a projection whose outputs have mean 0 and standard deviation 1, with their range.

    Args:
        raw: projection with the outputs of the network.
        features: (k, f) features of all frames.

    Raises:
        SimulationError: a variable is constant or not finite.
    """
    with torch.no_grad():
        outputs = raw.outputs(features).numpy()
    mean, scale = outputs.mean(axis=0), outputs.std(axis=0)
    if not (np.isfinite(outputs).all() and (scale > 1e-8).all()):
        raise SimulationError("a learned variable is constant or not finite; use another seed")
    shift, matrix = raw.arrays["output_shift"], raw.arrays["output_matrix"]
    output = {
        "output_shift": shift + mean @ np.linalg.pinv(matrix),
        "output_matrix": matrix / scale,
    }
    standardized = (outputs - mean) / scale
    limits = {
        "low": tuple(standardized.min(axis=0).tolist()),
        "high": tuple(standardized.max(axis=0).tolist()),
    }
    return Projection(raw.record.model_copy(update=limits), {**raw.arrays, **output})


def _features_of(features: FeatureSet, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    contiguous = np.ascontiguousarray(positions, dtype=np.float64)
    return np.asarray(features.evaluate(torch.from_numpy(contiguous)).numpy())


def _pairs(
    values: Sequence[NDArray[np.float64]], settings: LearningSettings
) -> dict[str, torch.Tensor]:
    """Return features (k, f) of frames as "data", and of the frames one lag later as "later".

    The lag of an autoencoder is zero. The two frames of a pair belong to one run.
    """
    lag = 0 if settings.kind == "autoencoder" else settings.lag
    long = [run for run in values if len(run) > lag]
    count = sum(len(run) - lag for run in long)
    if count < _MIN_SAMPLES:
        raise ConfigError(
            f"found {count} {'pairs of frames' if lag else 'frames'} in {len(values)} run(s), "
            f"needed: {_MIN_SAMPLES} or more; run longer, or write frames more often"
        )
    first = np.concatenate([run[: len(run) - lag] for run in long])
    second = np.concatenate([run[lag:] for run in long])
    return {
        "data": torch.from_numpy(first).float(),
        "later": torch.from_numpy(second).float(),
    }


def _record(
    features: FeatureSet, structure: Structure, settings: LearningSettings, training: dict[str, Any]
) -> ProjectionRecord:
    """Return the description of the network; `_standardized` replaces the limits."""
    elements = structure.elements
    return ProjectionRecord(
        kind=settings.kind,
        features=features,
        elements=tuple(elements[i] for i in features.atoms),
        n_atoms=len(elements),
        variables=settings.variables,
        low=(0.0,) * settings.variables,
        high=(0.0,) * settings.variables,
        training=training,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the messages of lightning about loggers, tips and devices."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import_mlcolvar()  # on import, its packages set the levels of their loggers
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in _VERBOSE_PACKAGES:
                logging.getLogger(name).setLevel(logging.ERROR)
        yield


def _import_mlcolvar() -> tuple[Any, Any, Any]:
    try:
        import lightning
        import mlcolvar.cvs
        import mlcolvar.data
    except ImportError as error:
        raise OptionalDependencyError(
            f"cannot import mlcolvar ({error}); pip install nnpmm[learned]"
        ) from error
    return lightning, mlcolvar.cvs, mlcolvar.data


def _fit(
    data: dict[str, torch.Tensor],
    settings: LearningSettings,
    progress: Callable[[int, int], None],
) -> tuple[Any, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return mlcolvar's network with the weights of the best epoch, and both learning curves."""
    lightning, cvs, sets = _import_mlcolvar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model, batches = _create_model(cvs, sets, data, settings)
        record = _create_callback(lightning, settings, progress)
        trainer = lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[record],
        )
        trainer.fit(model, batches)
    if record.best is None:
        raise SimulationError("the loss of the training is not finite; use a smaller learning rate")
    model.load_state_dict(record.best)
    return model.eval(), (np.array(record.training), np.array(record.validation))


def _create_model(
    cvs: Any, sets: Any, data: dict[str, torch.Tensor], settings: LearningSettings
) -> tuple[Any, Any]:
    """Return mlcolvar's network with random weights, and the batches of its training."""
    layers = [data["data"].shape[1], *settings.hidden, settings.variables]
    options: dict[str, Any] = {"optimizer": {"lr": settings.learning_rate}}
    count, content = len(data["data"]), {"data": data["data"]}
    full_batch = settings.kind == "deep-tica"
    if full_batch:
        ones = torch.ones(count)
        content |= {"data_lag": data["later"], "weights": ones, "weights_lag": ones}
        model = cvs.DeepTICA(layers, options={"nn": {"activation": "tanh"}, **options})
        batch = count  # the eigenvalues are an average over all pairs
    else:
        content |= {"target": data["later"]}
        blocks = {name: {"activation": "tanh"} for name in ("encoder", "decoder")}
        model = cvs.AutoEncoderCV(layers, options={**blocks, **options})
        batch = min(settings.batch, max(10, count // _MIN_BATCHES))
    batches = sets.DictModule(
        sets.DictDataset(content),
        lengths=[0.8, 0.2],
        batch_size=batch,
        random_split=True,
        shuffle=not full_batch,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    return model, batches


def _create_callback(lightning: Any, settings: LearningSettings, progress: Any) -> Any:
    """Return a callback that records losses and the best weights, and stops the training early."""

    class Record(lightning.Callback):
        def __init__(self) -> None:
            self.training: list[float] = []
            self.validation: list[float] = []
            self.best: dict[str, torch.Tensor] | None = None

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            metrics = trainer.callback_metrics
            self.training.append(float(metrics["train_loss"]))
            self.validation.append(float(metrics["valid_loss"]))
            lowest = min(self.validation)
            if np.isfinite(self.validation[-1]) and self.validation[-1] == lowest:
                self.best = {k: v.detach().clone() for k, v in module.state_dict().items()}
            progress(len(self.validation), settings.epochs)
            epochs_since_best = len(self.validation) - 1 - int(np.argmin(self.validation))
            trainer.should_stop = epochs_since_best >= settings.patience

    return Record()


def _arrays(model: Any, kind: Kind) -> dict[str, NDArray[np.float64]]:
    """Return scaling and weights of mlcolvar's network from the features to the variables."""
    body = model.nn.nn if kind == "deep-tica" else model.encoder.nn
    linear = [layer for layer in body if isinstance(layer, torch.nn.Linear)]
    arrays = {"shift": model.norm_in.mean, "scale": model.norm_in.range}
    for number, layer in enumerate(linear):
        arrays[f"weight{number}"], arrays[f"bias{number}"] = layer.weight, layer.bias
    size = linear[-1].out_features
    arrays["output_shift"], arrays["output_matrix"] = torch.zeros(size), torch.eye(size)
    if kind == "deep-tica":
        arrays["output_shift"], arrays["output_matrix"] = model.tica.mean, model.tica.evecs
    return {name: array.detach().double().numpy().copy() for name, array in arrays.items()}
