"""``nnpmm sample language``: a language model of trajectories of states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import count_bar
from nnpmm.cli.settings_options import DebugOption, JsonOption
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnpmm.learning.language.comparison import Comparison

__all__ = ["language"]

language = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train a network on a trajectory of states, and generate new ones.",
)
_SERIES = typer.Argument(
    help="Files of series (.npy, .csv, .txt): states, or variables with --centers."
)
_CENTERS = typer.Option(
    "--centers", help='Centres of the states, such as "-1;0;1", or "0,0;1,2" of two variables.'
)
_PERIOD = typer.Option("--period", help="Period of each variable, in order; 0: not periodic.")
_SMOOTH = typer.Option("--smooth", min=1, help="Shortest visit that counts, in frames.")


@language.command()
def train(
    series: Annotated[list[Path], _SERIES],
    centers: Annotated[str | None, _CENTERS] = None,
    period: Annotated[list[float] | None, _PERIOD] = None,
    smooth: Annotated[int, _SMOOTH] = 1,
    markov: Annotated[
        bool, typer.Option("--markov", help="Add memory to a reversible Markov model (deeptime).")
    ] = False,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Largest number of epochs.")] = 100,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Epochs without improvement before the end.")
    ] = 15,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=1e-6, max=1, help="Learning rate of Adam.")
    ] = 5e-3,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed of weights and batches.")
    ] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file to write.")] = Path(
        "language.json"
    ),
    debug: DebugOption = False,
) -> None:
    """Train a model on trajectories of states."""
    with starting():
        from nnpmm.core.files import require_suffix
        from nnpmm.learning.language import LanguageSettings, train_language_model
    require_suffix(output, ".json")
    states = _states(series, centers, period, smooth)
    settings = LanguageSettings(
        markov=markov, epochs=epochs, patience=patience, learning_rate=learning_rate, seed=seed
    )
    with count_bar("epochs") as show:
        count = None if centers is None else len(_centers(centers))
        model = train_language_model(states, settings, n_states=count, progress=show)
    model.save(output)
    card = model.card
    print_result(
        f"{card.n_states} states, {card.frames} frames, {card.transitions} transitions; cross "
        f"entropy {min(card.validation):.4f} nats per frame after {len(card.validation)} epochs"
    )
    if card.markov is not None:
        print_result(_gain(card.markov, min(card.validation)))
    print_result(f"  {output}")


@language.command()
def generate(
    model: Annotated[
        Path, typer.Argument(help="JSON file that nnpmm sample language train wrote.")
    ],
    length: Annotated[
        int, typer.Option("--length", min=1, help="Frames of each trajectory.")
    ] = 10_000,
    walkers: Annotated[int, typer.Option("--walkers", min=1, help="Number of trajectories.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="NumPy file to write.")] = Path(
        "generated.npy"
    ),
    debug: DebugOption = False,
) -> None:
    """Generate new trajectories of states, (walkers, frames)."""
    with starting():
        import io

        import numpy as np

        from nnpmm.core.files import require_suffix, write_atomically
        from nnpmm.learning.language import load_language_model
    require_suffix(output, ".npy")
    trained = load_language_model(model)
    with count_bar("frames") as show:
        found = trained.generate(length, walkers=walkers, seed=seed, progress=show)
    content = io.BytesIO()
    np.save(content, found, allow_pickle=False)
    write_atomically(output, content.getvalue())
    print_result(f"{walkers} trajectories of {length} frames: {output}")


@language.command()
def evaluate(
    generated: Annotated[
        Path, typer.Argument(help="File that nnpmm sample language generate wrote.")
    ],
    reference: Annotated[list[Path], typer.Argument(help="Long reference series.")],
    training: Annotated[
        list[Path] | None,
        typer.Option("--training", help="Training series; adds a Markov model to the comparison."),
    ] = None,
    lag: Annotated[
        int, typer.Option("--lag", min=1, help="Lag time of timescales, in frames.")
    ] = 1,
    centers: Annotated[str | None, _CENTERS] = None,
    period: Annotated[list[float] | None, _PERIOD] = None,
    smooth: Annotated[int, _SMOOTH] = 1,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare populations and kinetics of generated trajectories with a reference."""
    with starting():
        import numpy as np

        from nnpmm.learning.language import fit_markov_model, read_series, require_states
        from nnpmm.learning.language.comparison import compare_with_reference
    long = _states(reference, centers, period, smooth)
    count = require_states(long)
    new = [np.asarray(row, dtype=np.int64) for row in np.atleast_2d(read_series(generated))]
    require_states(new, count)
    markov = None
    if training:
        learned = _states(training, centers, period, smooth)
        markov = fit_markov_model(learned, count, lag)
    found = compare_with_reference(long, {"generated": new}, count, lag=lag, markov=markov)
    print_result(json.dumps(found.data(), indent=1)) if as_json else _print(found)


def _gain(markov: float, network: float) -> str:
    """Return a sentence about the gain of memory over the initial Markov model."""
    if network >= markov:
        return (
            f"memory does not improve on the Markov model, {markov:.4f} nats per frame; the model "
            "written is this Markov model"
        )
    return f"Markov model {markov:.4f} nats per frame; memory gains {markov - network:.4f}"


def _states(
    series: list[Path], centers: str | None, period: list[float] | None, smooth: int
) -> list[NDArray[np.int64]]:
    import numpy as np

    from nnpmm.learning.language import assign_states, read_series, smooth_recrossings

    found = []
    for path in series:
        values = read_series(path)
        if centers is not None:
            places = _centers(centers)
            periods = [each or None for each in period] if period else ()
            states = assign_states(values, places, periods=periods)
        elif values.ndim == 1 and (values == np.round(values)).all():
            states = values.astype(np.int64)
        else:
            raise ConfigError(
                f"{path}: found values that are not states: give --centers, or integers from 0"
            )
        found.append(smooth_recrossings(states, smooth))
    return found


def _centers(text: str) -> list[list[float]]:
    try:
        places = [[float(value) for value in part.split(",")] for part in text.split(";")]
    except ValueError:
        places = [[]]
    if len(places) < 2 or len({len(place) for place in places}) > 1 or not places[0]:
        raise ConfigError(
            f'--centers: found {text!r}, allowed: two or more places such as "-1;0;1" or "0,0;1,2"'
        )
    return places


def _print(found: Comparison) -> None:
    import numpy as np

    from nnpmm.analysis.tables import with_error

    for row in found.rows:
        shares = ", ".join(
            with_error(value, error)
            for value, error in zip(row.populations, row.population_errors, strict=True)
        )
        print_result(f"{row.name}: populations {shares}")
        for i, j in np.argwhere(~np.eye(len(row.populations), dtype=bool)).tolist():
            time = with_error(row.passage_times[i, j], row.passage_errors[i, j])
            print_result(f"  first passage {i} to {j}: {time} frames")
        scales = ", ".join(f"{value:.4g}" for value in row.timescales)
        print_result(f"  implied timescales: {scales} frames")
        if row is not found.rows[0]:
            print_result(
                f"  populations off by {found.population_error(row):.3f} on average, first "
                f"passage by up to {100 * found.passage_error(row):.0f} %"
            )
