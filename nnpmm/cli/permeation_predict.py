"""``nnpmm permeation predict``: predict a free energy from a SMILES and a lipid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.settings_options import DebugOption, OutputOption, resumable

if TYPE_CHECKING:
    from nnpmm.permeation.networks.regressor import Regressor
    from nnpmm.permeation.prediction import Molecule, Prediction

__all__ = ["predict"]


_Smiles = Annotated[str | None, typer.Option(help="The molecule, such as CCCCO.")]
_Beads = Annotated[str | None, typer.Option(help="The molecule as Martini beads, such as P2-C1.")]
_File = Annotated[Path | None, typer.Option(help="CSV file with columns name and smiles or beads.")]
_Lipid = Annotated[str, typer.Option(help="Lipid of the bilayer.")]
_Trajectory = Annotated[
    tuple[Path, Path] | None,
    typer.Option(help="Folders of existing runs in water and in the membrane."),
]
_Model = Annotated[
    Path | None, typer.Option("--model", "-m", help="Folder of a model; default: nnpmm's own.")
]
_Engine = Annotated[str, typer.Option(help="Engine: auto, gromacs or openmm.")]
_Scratch = Annotated[Path | None, typer.Option(help="Folder for trajectories.")]
_Cluster = Annotated[
    str, typer.Option(help="Where runs take place: local, serial, or a YAML file.")
]
_Workers = Annotated[int, typer.Option(min=1, help="Number of runs at a time.")]
_Threads = Annotated[int, typer.Option(min=1, help="Threads of the engine in each run.")]
_Seed = Annotated[int, typer.Option(min=1, help="Master seed, from which all seeds are derived.")]
_Retry = Annotated[bool, typer.Option("--retry-failed", help="Also retry runs that have failed.")]


def predict(
    smiles: _Smiles = None,
    beads: _Beads = None,
    file: _File = None,
    lipid: _Lipid = "DOPC",
    trajectory: _Trajectory = None,
    model: _Model = None,
    output: OutputOption = Path("permeation-prediction"),
    engine: _Engine = "auto",
    scratch: _Scratch = None,
    cluster: _Cluster = "local",
    workers: _Workers = 1,
    threads: _Threads = 1,
    seed: _Seed = 1,
    retry_failed: _Retry = False,
    debug: DebugOption = False,
) -> None:
    """Predict dG from water to the midplane from two short simulations.

    The same command continues after a stop. The exit status is 0 if all runs are done, 1 if some
    failed, 2 if there is no result.
    """
    from rich.console import Console

    from nnpmm.campaigns import read_cluster
    from nnpmm.cli.progress import campaign_bar
    from nnpmm.permeation.networks.regressor import DEFAULT_MODEL, load_regressor
    from nnpmm.permeation.prediction import predict_molecules
    from nnpmm.permeation.prediction.report import predictions_table, remarks, write_reports

    molecules = _molecules(smiles, beads, file)
    regressor = load_regressor(model or DEFAULT_MODEL)
    if trajectory is not None:
        found = [_from_runs(molecules, lipid, regressor, trajectory)]
    else:
        where = read_cluster(cluster, workers=workers, threads=threads)
        with resumable(output, "the same command"), campaign_bar("runs") as (report, relaxation):
            found = predict_molecules(
                molecules,
                lipid,
                regressor,
                output / lipid,
                engine=engine,
                seed=seed,
                cluster=where,
                scratch=scratch,
                retry_failed=retry_failed,
                report=report,
                relaxation=relaxation,
            )
    _require_a_simulation(found)
    console = Console()
    console.print(predictions_table(found))
    for line in remarks(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    typer.echo(f"{write_reports(found, regressor, output)}, a CSV file and pictures")
    failed = [prediction.molecule.name for prediction in found if prediction.failed]
    if failed:
        typer.echo(
            f"{len(failed)} of {len(found)} molecules have no prediction, because their runs "
            "failed: "
            f"{', '.join(failed)}",
            err=True,
        )
        raise typer.Exit(1)


def _molecules(smiles: str | None, beads: str | None, file: Path | None) -> list[Molecule]:
    from nnpmm.core.errors import ConfigError
    from nnpmm.permeation.prediction import molecule_from_beads, molecule_from_smiles
    from nnpmm.permeation.prediction.molecules import read_molecules

    if sum(given is not None for given in (smiles, beads, file)) != 1:
        raise ConfigError("give one of --smiles, --beads and --file")
    if smiles is not None:
        return [molecule_from_smiles(smiles)]
    if beads is not None:
        return [molecule_from_beads(beads)]
    return read_molecules(Path(str(file)))


def _from_runs(
    molecules: list[Molecule], lipid: str, model: Regressor, folders: tuple[Path, Path]
) -> Prediction:
    """Predict the one molecule whose runs lie in two folders."""
    from nnpmm.core.errors import ConfigError
    from nnpmm.permeation.martini import lipid as known_lipid
    from nnpmm.permeation.prediction.applicability import check_solute
    from nnpmm.permeation.prediction.predictor import model_protocol, predict_features
    from nnpmm.permeation.prediction.trajectories import trajectory_features

    if len(molecules) > 1:
        raise ConfigError(f"found {len(molecules)} molecules for the two runs of --trajectory")
    known_lipid(lipid)
    verdict = check_solute(model.card, molecules[0].graph, lipid)
    features = None
    if not verdict.refusals:
        protocol = model_protocol(model)
        features = trajectory_features(molecules[0].graph, lipid, *folders, protocol)
    return predict_features(molecules[0], lipid, model, features, verdict)


def _require_a_simulation(found: list[Prediction]) -> None:
    """Raise the reason if no molecule has a prediction or was simulated."""
    from nnpmm.core.errors import ConfigError
    from nnpmm.core.tables import excerpt

    if all(p.free_energy is None and p.features is None for p in found):
        first = found[0]
        raise ConfigError(
            f"{excerpt(first.molecule.name)} ({excerpt(first.molecule.graph)}) in "
            f"{first.lipid}: {'; '.join(first.verdict.refusals)}"
        )
