"""``nnpmm permeation train`` and ``evaluate``: networks from features to free energies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.settings_options import DebugOption

if TYPE_CHECKING:
    from nnpmm.permeation.dataset.training_data import TrainingData

__all__ = ["evaluate", "train"]

_Data = Annotated[Path, typer.Option("--data", "-d", help="Folder of the data set.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output.")]
_DATA = Path("permeation-data")


def train(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", "-d", help="Folder of a data set; may be repeated."),
    ] = None,
    network: Annotated[
        str, typer.Option(help="Network: model-l, model-la or dnn (as published), or response.")
    ] = "response",
    split: Annotated[
        str,
        typer.Option(
            help="Split: random, solute, or what to leave out (lipid:NAME,... or beads:TYPE,...)."
        ),
    ] = "random",
    seed: Annotated[int, typer.Option(help="Random seed of split, weights and batches.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the training, as in --set epochs=200."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Output folder of the model.")
    ] = Path("permeation-model"),
    overwrite: _Overwrite = False,
    debug: DebugOption = False,
) -> None:
    """Train a network on a data set; published networks use the published protocol by default."""
    import torch

    from nnpmm.cli.progress import count_bar
    from nnpmm.core.files import require_writable
    from nnpmm.learning import MODEL_FILE
    from nnpmm.permeation.files import save_figure
    from nnpmm.permeation.networks import training
    from nnpmm.permeation.networks.figures import learning_figure
    from nnpmm.permeation.networks.recipes import recipe
    from nnpmm.permeation.networks.regressor import save_regressor
    from nnpmm.permeation.runs.protocol import changed_settings, parse_changes

    architecture, protocol = recipe(network)
    wanted = {**parse_changes(set_ or []), "split": split, "seed": seed}
    settings = changed_settings(protocol, **wanted)
    _refuse_existing(output / MODEL_FILE, overwrite)
    samples = _read_samples(*(data or [_DATA]))
    require_writable(output)  # checked before hours of training
    torch.set_num_threads(1)  # small networks: more threads are slower, and change the sums
    with count_bar("epochs") as tell:
        result = training.train(samples, architecture, settings, progress=tell)
    save_regressor(result.model, output)
    curves = learning_figure(result.curves, result.model.card.kept_epochs)
    save_figure(curves, output / "learning.png")
    for part, metrics in result.model.card.metrics.items():
        r2 = "-" if metrics.r2 is None else f"{metrics.r2:.4f}"
        typer.echo(
            f"{part}: {metrics.samples} samples, MAE {metrics.mae:.3f}, RMSE {metrics.rmse:.3f}, "
            f"largest {metrics.largest:.2f} kcal/mol, R2 {r2}"
        )
    typer.echo(f"model and learning curve in {output}")


def evaluate(
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Folder of a model; default: nnpmm's own."),
    ] = None,
    data: _Data = _DATA,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path(
        "permeation-evaluation"
    ),
    overwrite: _Overwrite = False,
    debug: DebugOption = False,
) -> None:
    """Compare the predictions of a model with the labels of a data set, in tables and plots."""
    from rich.console import Console

    from nnpmm.core.files import require_writable
    from nnpmm.permeation.dataset.folder import read_settings
    from nnpmm.permeation.networks import evaluation
    from nnpmm.permeation.networks.regressor import DEFAULT_MODEL, load_regressor
    from nnpmm.permeation.networks.report import (
        REPORT_FILE,
        report_tables,
        reports_by_group,
        write_report,
    )

    _refuse_existing(output / REPORT_FILE, overwrite)
    require_writable(output)
    regressor = load_regressor(model or DEFAULT_MODEL)
    found = evaluation.evaluate(regressor, _read_samples(data))
    for table in report_tables(reports_by_group(found), set(found.data.beads.tolist())):
        Console().print(table)
    write_report(regressor, found, output, read_settings(data).protocol.frame_interval)
    typer.echo(f"tables and plots in {output}")


def _read_samples(*data: Path) -> TrainingData:
    """Return the samples of data sets, and say if some have no label."""
    from nnpmm.permeation.dataset.training_data import load_training_data

    samples, missing = load_training_data(*data)
    if missing:
        typer.echo(f"{len(missing)} samples have no label and are left out: {missing[0]}, ...")
    return samples


def _refuse_existing(path: Path, overwrite: bool) -> None:
    from nnpmm.core.errors import ConfigError

    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: exists already; choose another folder, or --overwrite")
