"""``nnpmm torsionnet train | evaluate``: a policy that searches conformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import count_bar
from nnpmm.cli.settings_options import (
    ConfigArgument,
    DebugOption,
    TemplateOption,
    resumable,
    settings_with,
)

__all__ = ["torsionnet"]

torsionnet = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train a policy that searches conformers, by reinforcement learning.",
)


@torsionnet.command()
def train(
    config: ConfigArgument = None,
    updates: Annotated[
        int | None,
        typer.Option(
            "--updates", min=1, help="Number of updates; a larger one continues a training."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Random seed of molecules, weights and episodes."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the training.")] = Path(
        "torsionnet"
    ),
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a policy that searches conformers, on branched alkanes or molecules of your own.

    Ctrl-C stops the training; the same command continues it, also after a crash.
    """
    with starting():
        import torch

        from nnpmm.conformers.torsionnet import TrainingSettings, settings_template, train_policy
        from nnpmm.conformers.torsionnet.figures import training_figure
        from nnpmm.plots.saving import save_figure
    if template:
        print_result(settings_template())
        return
    settings = settings_with(
        TrainingSettings,
        config,
        {"updates": updates, "seed": seed},
        defaults={},
        required=(),
        missing="",
    )
    torch.set_num_threads(1)  # a small network: more threads are slower, and change the sums
    with resumable(output, "the same command"), count_bar("updates") as show:
        trained = train_policy(settings, output, progress=show)
    save_figure(training_figure(trained.card), output / "learning")
    molecules, score, hardest = trained.card.curve[-1]
    print_result(
        f"{len(trained.card.curve)} updates, {molecules:g} molecules in use; score relative to a "
        f"Monte Carlo search {score:.2f}, of the hardest {hardest:.2f}"
    )
    print_result(f"policy: {output / 'policy.json'}, learning curve: {output / 'learning.png'}")


@torsionnet.command()
def evaluate(
    policy: Annotated[Path, typer.Argument(help="Folder of the training.")],
    smiles: Annotated[
        list[str] | None,
        typer.Option(
            "--smiles",
            help="A molecule; give the option several times. Default: six alkanes that the policy "
            "was not trained on.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", min=2, help="Number of conformers of each search.")
    ] = 200,
    seeds: Annotated[
        int, typer.Option("--seeds", min=2, help="Number of searches of each kind.")
    ] = 3,
    debug: DebugOption = False,
) -> None:
    """Compare a policy with searches that do not learn, and write the scores into its card."""
    with starting():
        import torch
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Column, Table

        from nnpmm.conformers.torsionnet import evaluate_policy, load_policy, unseen_alkanes
        from nnpmm.conformers.torsionnet.card import POLICY_FILE, SEARCHES
    torch.set_num_threads(1)
    trained = load_policy(policy)
    molecules = smiles or unseen_alkanes(trained.card)
    with count_bar("searches") as show:
        rows = evaluate_policy(trained, molecules, count=count, seeds=seeds, progress=show)
    card = trained.card.model_copy(update={"evaluation": rows})
    replace(trained, card=card).save(policy / POLICY_FILE)
    table = Table(Column("molecule", overflow="fold"), "rotors", *SEARCHES.values())
    for row in rows:
        texts = (f"{score.mean:.2f} ± {score.error:.2f}" for score in row.scores().values())
        table.add_row(escape(row.smiles), str(row.rotors), *texts)
    Console().print(table)
    print_result("Gibbs scores in units of the mean score of ETKDG, with standard errors.")
    print_result(
        "A search without learning scores higher for "
        f"{len(card.failures)} of {len(rows)} molecules."
    )
