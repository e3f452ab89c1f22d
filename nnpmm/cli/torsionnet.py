"""``nnpmm torsionnet train``: a policy that searches conformers."""

from __future__ import annotations

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


@torsionnet.callback()
def _group() -> None:
    pass


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
