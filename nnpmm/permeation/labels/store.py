"""Labels in the folder of a data set: direct ones as they are made, and the table of a lipid.

Layout::

    labels/direct/DOPC/C1-P4.json     free energy of decoupling in this place
    labels/direct/water/C1-P4.json
    labels/DOPC.csv                   dG of every solute, with errors
    labels/DOPC.json                  overlap, residuals of the anchors, provenance
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnpmm._version import __version__
from nnpmm.errors import InputFileError
from nnpmm.permeation.dataset import WATER, DatasetSettings, Job, read_settings
from nnpmm.permeation.files import write_atomically
from nnpmm.permeation.labels.anchored import Anchor, Label, anchor_residuals, anchored_labels
from nnpmm.permeation.labels.decoupling import DecouplingSettings, decouple
from nnpmm.permeation.labels.estimates import KJ_PER_KCAL
from nnpmm.permeation.labels.linear import read_samples, relative_free_energies
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.runs import RunOutcome, run_membrane, run_water

__all__ = ["label_linear", "read_anchors", "read_labels", "run_direct"]


def _direct_path(folder: Path, place: str, solute: str) -> Path:
    return folder / "labels" / "direct" / place / f"{solute}.json"


def run_direct(
    job: Job,
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    *,
    decoupling: DecouplingSettings | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Decouple a solute in one place, unless that is done; return and keep the record.

    Args:
        job: place and solute.
        settings: of the data set, whose protocol equilibrates the system.
        folder: of the data set.
        scratch: for GROMACS' files; an interrupted calculation goes on there.
        decoupling: lengths; the defaults if None.
        threads: of GROMACS.

    Raises:
        SimulationError: GROMACS failed, or the states do not overlap.
    """
    path = _direct_path(folder, job.place, job.solute)
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    begin, engine = time.monotonic(), GromacsEngine(threads=threads)
    decoupling = decoupling or DecouplingSettings(temperature=settings.protocol.temperature)
    work = scratch / "direct" / job.place / job.solute
    seed = job.seed(settings.seed, attempt=100)  # another one than the data set's runs
    outcome = _equilibrate(job, settings, engine, work, seed)
    found = decouple(
        outcome.system,
        outcome.production.configuration,
        engine,
        work,
        decoupling,
        restraint=None if job.place == WATER else settings.protocol.restraint,
        seed=seed,
    )
    record = {
        "decoupling_kj": found.free_energy,
        "error_kj": found.error,
        "overlap": found.overlap,
        "samples": found.samples,
        "settings": decoupling.model_dump(mode="json"),
        "engine": f"{engine.name} {engine.version()}",
        "nnpmm": __version__,
        "seed": seed,
        "seconds": time.monotonic() - begin,
        "threads": threads,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return record


def _equilibrate(
    job: Job, settings: DatasetSettings, engine: GromacsEngine, work: Path, seed: int
) -> RunOutcome:
    protocol = settings.protocol
    if job.place == WATER:
        return run_water(job.solute, protocol, engine, work, seed=seed, production=False)
    lipids = {job.place: protocol.lipids_per_leaflet}
    return run_membrane(job.solute, lipids, protocol, engine, work, seed=seed, production=False)


def read_anchors(folder: Path, lipid: str, like: str) -> dict[str, Anchor]:
    """Return the direct dG of solutes of one shape that are decoupled in water and in a lipid."""
    anchors = {}
    shape = parse_solute(like).bonds
    for path in sorted(_direct_path(folder, lipid, like).parent.glob("*.json")):
        water = _direct_path(folder, WATER, path.stem)
        if not water.exists() or parse_solute(path.stem).bonds != shape:
            continue
        inside, outside = (json.loads(p.read_text(encoding="utf-8")) for p in (path, water))
        anchors[path.stem] = Anchor(
            (outside["decoupling_kj"] - inside["decoupling_kj"]) / KJ_PER_KCAL,
            math.hypot(outside["error_kj"], inside["error_kj"]) / KJ_PER_KCAL,
        )
    return anchors


def label_linear(folder: Path, lipid: str, targets: Sequence[str]) -> list[Label]:
    """Write the table of a lipid from the phi of its runs and its anchors; return the labels.

    Args:
        folder: of the data set.
        lipid: of the bilayer.
        targets: solutes of one shape.

    Raises:
        ConfigError: nothing was simulated, or there is no anchor.
        SimulationError: MBAR has no solution.
    """
    settings = read_settings(folder)
    temperature = settings.protocol.temperature
    membrane, water = (
        relative_free_energies(read_samples(folder, place, targets[0]), targets, temperature)
        for place in (lipid, WATER)
    )
    anchors = read_anchors(folder, lipid, targets[0])
    labels = anchored_labels(membrane, water, anchors)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["solute", "dg_kcal", "error_kcal", "effective_samples"])
    for label in labels:
        row = (label.free_energy, label.error, label.effective_samples)
        writer.writerow([label.solute, f"{row[0]:.4f}", f"{row[1]:.4f}", f"{row[2]:.1f}"])
    write_atomically(folder / "labels" / f"{lipid}.csv", text.getvalue())
    record = {
        "quantity": "G(midplane) - G(water), kcal/mol",
        "temperature_k": temperature,
        "simulated": {"membrane": len(membrane.solutes), "water": len(water.solutes)},
        "overlap": {"membrane": membrane.overlap, "water": water.overlap},
        "anchors": {name: [a.free_energy, a.error] for name, a in anchors.items()},
        "residuals": {
            r.solute: [r.difference, r.error] for r in anchor_residuals(membrane, water, anchors)
        },
        "nnpmm": __version__,
    }
    write_atomically(folder / "labels" / f"{lipid}.json", json.dumps(record, indent=1) + "\n")
    return labels


def read_labels(folder: Path, lipid: str) -> dict[str, tuple[float, float]]:
    """Return dG and its standard deviation, kcal/mol, of every labelled solute in a lipid.

    Raises:
        InputFileError: there is no table of this lipid.
    """
    path = folder / "labels" / f"{lipid}.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["solute"]: (float(row["dg_kcal"]), float(row["error_kcal"])) for row in rows}
    except (OSError, KeyError, ValueError) as error:
        raise InputFileError(
            f"{path}: cannot read labels ({error}); make them with nnpmm permeation label linear"
        ) from error
