"""The training of a policy on molecules from easy to hard, which can be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnpmm._version import __version__
from nnpmm.conformers.gibbs import GibbsReference, gibbs_reference
from nnpmm.conformers.monte_carlo import monte_carlo_conformers
from nnpmm.conformers.screening import ForceField, with_conformers
from nnpmm.conformers.store import Stages
from nnpmm.conformers.torsionnet.alkanes import branched_alkanes
from nnpmm.conformers.torsionnet.card import POLICY_FILE, PolicyCard, TrainedPolicy
from nnpmm.conformers.torsionnet.environment import Episode, Task
from nnpmm.conformers.torsionnet.policy import Policy
from nnpmm.conformers.torsionnet.ppo import improve, play
from nnpmm.conformers.torsionnet.settings import TrainingSettings
from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.locks import locked_folder
from nnpmm.core.settings.folder import store_settings
from nnpmm.structures import molecule_from_smiles

__all__ = ["CURVE", "train_policy"]

_SETTINGS, _STATE, _STAGES = "settings.json", "state.safetensors", "stages"
_FIRST = 4  # molecules at the beginning
_SAVED = 20  # updates between two copies of the policy with its card
_MAY_CHANGE = ("updates",)
#: Columns of a learning curve: molecules in use, and scores of the episodes of an update.
CURVE = ("molecules", "mean score", "mean score of the hardest half")
#: Called with the number of updates that are done, and their number.
Progress = Callable[[int, int], None]


@dataclass(eq=False)
class _State:
    """The state of a training; random numbers depend only on the number of the update."""

    policy: Policy
    optimizer: torch.optim.Adam
    level: int
    recent: list[float] = field(default_factory=list)
    curve: list[list[float]] = field(default_factory=list)


def train_policy(
    settings: TrainingSettings, directory: Path, *, progress: Progress = lambda *_: None
) -> TrainedPolicy:
    """Train a policy by playing, and return it.

    ::

        settings.json         of the training
        stages/               reference scores of the molecules
        state.safetensors     weights and state of the optimiser after the last update
        policy.json           the card of the policy, with policy.safetensors; every 20 updates

    An interrupted training continues, and ends with the same policy on the same machine. The state
    of torch's global generator does not change.

    Args:
        settings: of the training.
        directory: output folder, created if necessary.
        progress: called after each update.

    Raises:
        ConfigError: the folder belongs to a training with other settings, another process works in
            it, or a molecule cannot be searched.
        InputFileError: a file of the folder is damaged, or a molecule has no conformer.
        UnwritableError: a file cannot be written.
    """
    fixed = [name for name in TrainingSettings.model_fields if name not in _MAY_CHANGE]
    with locked_folder(directory):
        store_settings(settings, directory / _SETTINGS, fixed)
        smiles = list(settings.molecules) or branched_alkanes(
            settings.alkanes,
            rotors=(settings.fewest_rotors, settings.most_rotors),
            seed=settings.seed,
        )
        tasks = _Tasks(smiles, settings, Stages(directory / _STAGES, __version__))
        state = _load_state(settings, directory / _STATE, len(smiles))
        while len(state.curve) < settings.updates:
            _update(state, tasks, settings)
            _save_state(state, directory / _STATE)
            if len(state.curve) % _SAVED == 0:
                _with_card(state, smiles, settings).save(directory / POLICY_FILE)
            progress(len(state.curve), settings.updates)
        trained = _with_card(state, smiles, settings)
        trained.save(directory / POLICY_FILE)
    return trained


def _with_card(state: _State, smiles: list[str], settings: TrainingSettings) -> TrainedPolicy:
    card = PolicyCard(
        training=settings,
        molecules=tuple(smiles[: max(int(row[0]) for row in state.curve)]),
        curve=tuple(tuple(row) for row in state.curve),
    )
    return TrainedPolicy(card, state.policy)


class _Tasks:
    """The molecules of a training, prepared when they are needed."""

    def __init__(self, smiles: list[str], settings: TrainingSettings, stages: Stages) -> None:
        self._smiles, self._settings, self._stages = smiles, settings, stages
        self._known: dict[int, Task] = {}

    def __len__(self) -> int:
        return len(self._smiles)

    def __getitem__(self, number: int) -> Task:
        if number not in self._known:
            self._known[number] = self._prepare(self._smiles[number])
        return self._known[number]

    def _prepare(self, smiles: str) -> Task:
        wanted, seed = self._settings, self._settings.seed
        molecule = molecule_from_smiles(smiles, seed=seed)
        scoring = {"thermal_energy": wanted.thermal_energy, "threshold": wanted.threshold}

        def reference() -> dict[str, NDArray[np.float64]]:
            found = monte_carlo_conformers(
                molecule, wanted.steps + 1, seed=seed, apart=wanted.threshold, variant="MMFF94"
            )
            energies = ForceField(molecule, variant="MMFF94").energies(found)
            return {
                "reference": np.array(
                    gibbs_reference(with_conformers(molecule, found), energies, **scoring)
                )
            }

        content = [smiles, seed, wanted.steps, scoring]
        values = self._stages.run("reference", content, None, reference)["reference"]
        return Task.of(
            molecule,
            GibbsReference(*values.tolist()),
            variant="MMFF94",
            thermal_energy=wanted.thermal_energy,
            threshold=wanted.threshold,
            relaxation=wanted.relaxation,
        )


def _load_state(settings: TrainingSettings, path: Path, molecules: int) -> _State:
    """Return the state of a training: that of the folder, or a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        policy = Policy(settings.policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.ppo.learning_rate)
    state = _State(policy, optimizer, min(_FIRST, molecules))
    if not path.exists():
        return state
    arrays, record = load_arrays(path)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    policy.load_state_dict(_section(tensors, "policy"))
    shapes = [parameter.shape for parameter in policy.parameters()]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _section(tensors, "adam").items():
        number, key = name.split(".")
        shape = () if key == "step" else shapes[int(number)]
        moments.setdefault(int(number), {})[key] = tensor.reshape(shape)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    state.level, state.recent, state.curve = record["level"], record["recent"], record["curve"]
    return state


def _section(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}


def _save_state(state: _State, path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        f"policy.{name}": tensor.numpy() for name, tensor in state.policy.state_dict().items()
    }
    for number, moments in state.optimizer.state_dict()["state"].items():
        for key, tensor in moments.items():
            arrays[f"adam.{number}.{key}"] = np.atleast_1d(tensor.numpy())
    record = {"level": state.level, "recent": state.recent, "curve": state.curve}
    save_arrays(path, arrays, record)


def _update(state: _State, tasks: _Tasks, settings: TrainingSettings) -> None:
    """Play the episodes of an update, learn from them, and add molecules at the goal."""
    random = np.random.default_rng([settings.seed, len(state.curve)])
    generator = torch.Generator().manual_seed(int(random.integers(2**31)))
    chosen = _draw_molecules(state.level, settings.episodes, random)
    seeds = random.integers(2**31, size=len(chosen)).tolist()
    playing = [tasks[number] for number in chosen]
    games = [
        Episode(task, settings.steps, seed=seed) for task, seed in zip(playing, seeds, strict=True)
    ]
    half = (len(games) + 1) // 2
    rollouts = [
        play(state.policy, [t.graph for t in playing[part]], games[part], generator)
        for part in (slice(half), slice(half, None))
        if games[part]
    ]
    improve(state.policy, state.optimizer, rollouts, settings.ppo)
    scores = [game.gibbs.score for game in games]
    state.recent = [*state.recent, *scores[:half]][-settings.window :]
    state.curve.append([state.level, float(np.mean(scores)), float(np.mean(scores[:half]))])
    is_full = len(state.recent) == settings.window
    if is_full and np.mean(state.recent) >= settings.goal and state.level < len(tasks):
        state.level, state.recent = min(2 * state.level, len(tasks)), []


def _draw_molecules(level: int, episodes: int, random: np.random.Generator) -> list[int]:
    """Draw molecules, the first half of them from the harder half of those in use."""
    half = (episodes + 1) // 2
    hard = random.integers(level // 2, level, size=half)
    return [*hard.tolist(), *random.integers(0, level, size=episodes - half).tolist()]
