"""``nnpmm permeation train`` and ``evaluate``: networks from features to free energies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nnpmm.permeation.evaluation import Evaluation
    from nnpmm.permeation.regressor import Regressor

__all__ = ["evaluate", "train"]

_Data = Annotated[Path, typer.Option("--data", "-d", help="Folder of the data set.")]
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
_DATA = Path("permeation-data")
_FRAME_COUNTS = (5, 10, 20, 35, 50, 75, 100, 150, 200, 250, 300, 350)


def train(
    data: _Data = _DATA,
    network: Annotated[
        str, typer.Option(help="model-l, model-la, dnn (as published) or response.")
    ] = "response",
    split: Annotated[
        str, typer.Option(help="random, solute, lipid:NAME,... or beads:TYPE,... (left out).")
    ] = "random",
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the batches.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the training, as in --set epochs=200."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model.")] = Path(
        "permeation-model"
    ),
    overwrite: _Overwrite = False,
    debug: _Debug = False,
) -> None:
    """Train a network on a data set; the published protocol is the default of those published."""
    import torch

    from nnpmm.cli.progress import count_bar
    from nnpmm.permeation import training
    from nnpmm.permeation.figures import learning_figure
    from nnpmm.permeation.protocol import changed_settings, parse_changes
    from nnpmm.permeation.recipes import recipe
    from nnpmm.permeation.regressor import MODEL_FILE, save_regressor
    from nnpmm.permeation.training_data import load_training_data

    architecture, protocol = recipe(network)
    wanted = {**parse_changes(set_ or []), "split": split, "seed": seed}
    settings = changed_settings(protocol, **wanted)
    _refuse_existing(output / MODEL_FILE, overwrite)
    samples, missing = load_training_data(data)
    if missing:
        typer.echo(f"{len(missing)} samples without a label are left out: {missing[0]}, ...")
    torch.set_num_threads(1)  # small networks: more threads are slower, and change the sums
    with count_bar("epochs") as tell:
        result = training.train(samples, architecture, settings, progress=tell)
    save_regressor(result.model, output)
    learning_figure(result.curves, result.model.card.kept_epochs).savefig(output / "learning.png")
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
        typer.Option("--model", "-m", help="Folder of a model; that of nnpmm if left out."),
    ] = None,
    data: _Data = _DATA,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path(
        "permeation-evaluation"
    ),
    overwrite: _Overwrite = False,
    debug: _Debug = False,
) -> None:
    """Compare the predictions of a model with the labels of a data set; tables and plots."""
    import json

    from nnpmm.permeation import evaluation
    from nnpmm.permeation.files import write_atomically
    from nnpmm.permeation.regressor import DEFAULT_MODEL, load_regressor
    from nnpmm.permeation.training_data import load_training_data

    _refuse_existing(output / "evaluation.json", overwrite)
    regressor = load_regressor(model or DEFAULT_MODEL)
    samples, missing = load_training_data(data)
    if missing:
        typer.echo(f"{len(missing)} samples without a label are left out: {missing[0]}, ...")
    found = evaluation.evaluate(regressor, samples)
    record = _print_and_collect(found)
    output.mkdir(parents=True, exist_ok=True)
    _draw(regressor, found, data, output)
    write_atomically(output / "predictions.csv", evaluation.predictions_table(found))
    write_atomically(output / "evaluation.json", json.dumps(record, indent=1) + "\n")
    typer.echo(f"tables and plots in {output}")


def _refuse_existing(path: Path, overwrite: bool) -> None:
    from nnpmm.errors import ConfigError

    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: is there already; take another folder, or --overwrite")


def _print_and_collect(found: Evaluation) -> dict[str, object]:
    """Print the metrics of each group of samples and return them for JSON."""
    from rich.console import Console
    from rich.table import Table

    from nnpmm.permeation.evaluation import polarity

    parts = found.by_part()
    groups = {"part": {part: of_part.report_all() for part, of_part in parts.items()}}
    for part in ("new", "test"):  # by lipid and polarity only what the training never saw
        if part in parts:
            data = parts[part].data
            groups["lipid"] = parts[part].reports(data.lipids)
            groups["polarity"] = parts[part].reports(map(polarity, data.solutes))
    table = Table(title="kcal/mol; errors in units of their prediction, 1 if right")
    table.add_column("samples")
    for name in ("n", "MAE", "RMSE", "largest", "R2", "Pearson", "Spearman", "errors"):
        table.add_column(name, justify="right")
    for reports in groups.values():
        for group, report in reports.items():
            m = report.metrics
            numbers = (m.mae, m.rmse, m.largest, m.r2, m.pearson, m.spearman)
            cells = ["-" if x is None else f"{x:.3f}" for x in (*numbers, report.calibration.rms)]
            table.add_row(group, str(m.samples), *cells, end_section=group == list(reports)[-1])
    Console().print(table)
    return {
        by: {group: report.model_dump() for group, report in reports.items()}
        for by, reports in groups.items()
    }


def _draw(regressor: Regressor, found: Evaluation, data: Path, output: Path) -> None:
    from nnpmm.permeation import figures
    from nnpmm.permeation.dataset import read_settings
    from nnpmm.permeation.evaluation import frames_study

    interval = read_settings(data).protocol.frame_interval
    frames = found.data.features.shape[1]
    counts = sorted({count for count in _FRAME_COUNTS if count < frames} | {frames})
    drawn = {
        "parity": figures.parity_figure(found),
        "errors": figures.errors_figure(found),
        "frames": figures.frames_figure(
            {
                part: {
                    count: metrics.mae
                    for count, metrics in frames_study(regressor, of_part.data, counts).items()
                }
                for part, of_part in found.by_part().items()
            },
            interval,
        ),
    }
    if regressor.card.network.kind == "model-la":
        weights = regressor.attention(found.data.features)
        drawn["attention"] = figures.attention_figure(weights, interval)
    for name, figure in drawn.items():
        figure.savefig(output / f"{name}.png")
