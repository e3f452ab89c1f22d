"""Run the checks of nnpmm validate on nnpmm's models and on openmm-ml's own ani2x.

openmm-ml takes the weights of its ANI from torchani, which looks for them in ~/.local/torchani. The
script therefore links NNPMM_MODEL_DIR, a folder with ANI-2x and ANI-1ccx, into a temporary home
folder. It prints a table, and writes results/validate.json, docs/images/validation.png and
docs/images/validation_openmm_ml.png. openmm-ml's model takes eight minutes. With --models, the
script keeps the results of the other models.
Usage: python benchmarks/validate.py [--models AIMNet2]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, save_image, write_results

import nnpmm
from nnpmm.models import OpenmmMlModel, Potential
from nnpmm.models.validation import Validation, plot_findings, record_of, validate
from nnpmm.models.validation.report import bound_text, value_text

OWN = ("ANI-2x", "ANI-1x", "ANI-1ccx", "AIMNet2")
RAW = "ani2x (openmm-ml)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=(*OWN, RAW), default=[*OWN, RAW])
    names = parser.parse_args().models
    folder = os.environ.get("NNPMM_MODEL_DIR")
    if folder is None:
        raise SystemExit("set NNPMM_MODEL_DIR to a folder with ani-2x_8x and ani-1ccx_8x")
    models: dict[str, Potential] = {
        name: OpenmmMlModel("ani2x") if name == RAW else nnpmm.load_model(name) for name in names
    }
    found, seconds = {}, {}
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / ".local").mkdir()
        (Path(home) / ".local" / "torchani").symlink_to(folder, target_is_directory=True)
        os.environ["HOME"] = home
        for name, model in models.items():
            began = time.perf_counter()
            found[name] = validate(model)
            seconds[name] = time.perf_counter() - began
    report(found)
    records = {name: {"seconds": seconds[name], **record_of(each)} for name, each in found.items()}
    for record in records.values():  # keep the kind of source, without the local path
        if "weights" in record["model"]:
            record["model"]["weights"] = record["model"]["weights"].partition(": ")[0]
    print(write_results("validate", {**earlier(), **records}))
    for name, image in (("ANI-2x", "validation"), (RAW, "validation_openmm_ml")):
        if name in found:
            save_image(plot_findings(found[name]), image)


def earlier() -> dict[str, Any]:
    """Return the results of earlier calls."""
    path = RESULTS / "validate.json"
    return json.loads(path.read_text())["results"] if path.exists() else {}


def report(found: dict[str, Validation]) -> None:
    """Print the worst finding of every check as a Markdown table."""
    print("| check | unit | pass (fail) | " + " | ".join(found) + " |")
    print("| --- " * (3 + len(found)) + "|")
    for check in next(iter(found.values())).checks:
        cells = []
        for validation in found.values():
            worst = validation.worst(check.name)
            text = value_text(worst)
            cells.append(
                text if worst.verdict in ("pass", "n/a") else f"**{text} {worst.verdict}**"
            )
        print(f"| {check.name} | {check.unit} | {bound_text(check)} | {' | '.join(cells)} |")
    for name, validation in found.items():
        for finding in validation.findings:
            if finding.verdict in ("warn", "fail"):
                print(f"{name}: {finding.check}, {finding.molecule}: {finding.note}")


if __name__ == "__main__":
    main()
