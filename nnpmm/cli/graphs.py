"""``nnpmm graphs``: predict properties of molecules with networks pre-trained on geometries."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import count_bar, stage_bar
from nnpmm.cli.settings_options import (
    ConfigArgument,
    DebugOption,
    OutputOption,
    TemplateOption,
    resumable,
    settings_with,
)
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.graphs.molecules import Molecule

__all__ = ["graphs"]

graphs = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Predict properties of molecules, such as lipophilicity, from their graphs.",
)
_AGAIN = "the same command"


@graphs.command()
def pretrain(
    config: ConfigArgument = None,
    molecules: Annotated[
        list[Path] | None,
        typer.Option("--molecules", help="CSV file with a column of SMILES; may be repeated."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Total number of epochs.")
    ] = None,
    output: OutputOption = Path("pretraining"),
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Teach a network the geometries of molecules (3D Infomax).

    Ctrl-C stops the training; the same command continues it.
    """
    with starting():
        from nnpmm.graphs import PretrainingSettings
        from nnpmm.graphs import pretrain as train
        from nnpmm.graphs.figures import loss_figure
        from nnpmm.graphs.templates import pretraining_template
        from nnpmm.plots.saving import save_figure
    if template:
        typer.echo(pretraining_template(), nl=False)
        return
    tables = [str(path.absolute()) for path in molecules or []]
    settings = settings_with(
        PretrainingSettings,
        config,
        {"molecules": tables or None, "epochs": epochs},
        defaults={},
        required=("molecules",),
        missing="found no molecules: nnpmm graphs pretrain --molecules FILE.csv, or a settings "
        "file (--template)",
    )
    _one_thread()
    with resumable(output, _AGAIN), stage_bar("pre-training") as show:
        card = train(settings, output, report=show)
    save_figure(loss_figure(card), output / "learning")
    if card.without_conformers:
        typer.echo(
            f"warning: {len(card.without_conformers)} molecules without conformers are left out: "
            f"{card.without_conformers[0]}, ... (listed in {output / 'model.json'})",
            err=True,
        )
    print_result(
        f"{card.molecules} molecules, {len(card.training)} epochs: loss {card.training[-1]:.3f}, "
        f"of others {card.validation[-1]:.3f}; {100 * card.agreement[-1]:.0f} % of these are "
        f"nearest to a conformer of their own"
    )
    print_result(f"model: {output / 'model.json'}")


@graphs.command()
def finetune(
    config: ConfigArgument = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="CSV file with SMILES and a property.")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", help="Name of the property's column.")
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            "--pretrained",
            help="model.json of nnpmm graphs pretrain, or of another property.",
            show_default="random weights",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="How test molecules are chosen: random or scaffold.",
            show_default="random",
        ),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            "--members",
            help="Number of networks; their spread estimates the error.",
            show_default="1",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Random seed of weights and batches.", show_default="1"),
    ] = None,
    output: OutputOption = Path("property"),
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a model of a property, from a pre-trained network or from random weights.

    Ctrl-C stops the training; the same command continues it.
    """
    with starting():
        from nnpmm.graphs import FinetuningSettings
        from nnpmm.graphs import finetune as train
        from nnpmm.graphs.figures import learning_figure
        from nnpmm.graphs.templates import finetuning_template
        from nnpmm.plots.saving import save_figure
    if template:
        typer.echo(finetuning_template(), nl=False)
        return
    options = {
        "data": None if data is None else str(data.absolute()),
        "value": value,
        "pretrained": None if pretrained is None else str(pretrained.absolute()),
        "split": split,
        "members": members,
        "seed": seed,
    }
    settings = settings_with(
        FinetuningSettings,
        config,
        options,
        defaults={},
        required=("data", "value"),
        missing="found no data: nnpmm graphs finetune --data FILE.csv --value COLUMN, or a "
        "settings file (--template)",
    )
    _one_thread()
    with resumable(output, _AGAIN), count_bar("epochs") as show:
        model = train(settings, output, progress=show)
    save_figure(learning_figure(model.card), output / "learning")
    for part, metrics in model.card.metrics.items():
        r2 = "-" if metrics.r2 is None else f"{metrics.r2:.3f}"
        print_result(
            f"{part}: {metrics.samples} molecules, MAE {metrics.mae:.3f}, RMSE {metrics.rmse:.3f}, "
            f"largest {metrics.largest:.2f}, R2 {r2}"
        )
    print_result(f"model: {output / 'model.json'}")


@graphs.command()
def predict(
    model: Annotated[Path, typer.Argument(help="model.json of nnpmm graphs finetune.")],
    smiles: Annotated[
        list[str] | None, typer.Option("--smiles", help="SMILES of a molecule; may be repeated.")
    ] = None,
    molecules: Annotated[
        Path | None, typer.Option("--molecules", help="CSV file with a column of SMILES.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the table to this CSV file.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Predict a property of molecules, with its error if the model has several members."""
    with starting():
        from nnpmm.core.files import require_suffix, write_atomically
        from nnpmm.graphs import load_property_model
    if output is not None:
        require_suffix(output, ".csv")
    trained = load_property_model(model)
    wanted = _molecules(smiles, molecules, trained.card.settings.smiles)
    values, errors = trained.predict([molecule.smiles for molecule in wanted])
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["smiles", trained.card.settings.value, *([] if errors is None else ["error"])])
    for number, molecule in enumerate(wanted):
        error = [] if errors is None else [f"{errors[number]:.4f}"]
        rows.writerow([molecule.smiles, f"{values[number]:.4f}", *error])
    if output is not None:
        write_atomically(output, table.getvalue())
    print_result(table.getvalue().rstrip())


def _molecules(smiles: list[str] | None, table: Path | None, column: str) -> list[Molecule]:
    from rdkit import Chem

    from nnpmm.graphs.molecules import Molecule, parse_molecule, read_molecules

    if not smiles and table is None:
        raise ConfigError("found no molecule: give --smiles CCO, or --molecules FILE.csv")
    given = [
        Molecule("--smiles", Chem.MolToSmiles(parse_molecule(text.strip(), "--smiles")))
        for text in smiles or []
    ]
    return given + ([] if table is None else read_molecules(table, smiles=column))


def _one_thread() -> None:
    """Use one thread: more are hardly faster for small networks, and change the last digits."""
    import torch

    torch.set_num_threads(1)
