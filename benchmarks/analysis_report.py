"""Make the report of nnpmm analyze for runs of the HSP90 complex, with its pictures for the docs.

The script writes a settings file for each of two seeds and runs it: a minimisation, 0.6 ps of
heating and equilibration, then 1.6 ps of NNP/MM at 4 fs. The runs show what a report looks like;
they are far too short to say anything about the ligand. They take half an hour on one core.

python benchmarks/analysis_report.py FOLDER docs/images/analysis-report.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from common import data_folder, write_results

from nnpmm import simulation
from nnpmm.analysis import analyze, write_report
from nnpmm.analysis.tables import data_of

_SEEDS = (1, 2)


def settings(folder: Path, seed: int) -> Path:
    """Write the settings file of one run and return its path."""
    complex_folder = data_folder() / "hsp90/ligand-3/complex"
    path = folder / f"hsp90-{seed}.yaml"
    path.write_text(
        f"""system:
  type: gromacs
  topology: {complex_folder / "complex.top"}
  coordinates: {complex_folder / "complex.gro"}
  include_directories: [{data_folder() / "amber99sb-ildn"}]
  defines: {{HEAVY_H: ''}}
region: {{selection: "resname LIG", model: ANI-2x, constraints: keep}}
ensemble: {{type: NPT, temperature: 300 K, friction: 5 1/ps}}
timestep: 4 fs
stages:
  minimize: {{max_iterations: 60}}
  warmup: {{length: 0.4 ps}}
  equilibrate: {{length: 0.2 ps}}
  production: {{length: 1.6 ps}}
output: {{directory: replica-{seed}, trajectory_interval: 16 fs, log_interval: 16 fs}}
seed: {seed}
"""
    )
    return path


def main(folder: Path, picture: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    runs = [folder / f"replica-{seed}" for seed in _SEEDS]
    for run, seed in zip(runs, _SEEDS, strict=True):
        if not (run / "final.pdb").is_file():
            simulation.run(settings(folder, seed), resume=(run / "settings.yaml").is_file())
    found = analyze([simulation.run_source(run) for run in runs], name="HSP90, ligand 3")
    page = write_report(folder / "report", found)
    for name in ("torsions", "contacts"):
        shutil.copy(
            page.parent / "pictures" / f"{name}.png", picture.with_name(f"analysis-{name}.png")
        )
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("found no chromium to draw the page with")
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(
                "--window-size=1060,1330",
                f"--screenshot={picture.absolute()}",
                page.absolute().as_uri(),
            ),
        ],
        check=True,
        capture_output=True,
    )
    data = data_of(found)
    overall = [a for a in data["averages"] if a["kind"] == "overall"]
    write_results("analysis_report", {"trajectories": data["trajectories"], "averages": overall})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
