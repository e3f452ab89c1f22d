"""The GROMACS engine: writes its input, calls ``gmx``, reads its output."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.campaigns.attempts import KilledError
from nnpmm.campaigns.processes import end_with_parent, ending_signal, is_crash
from nnpmm.core.errors import OptionalDependencyError, SimulationError
from nnpmm.core.files import write_atomically
from nnpmm.permeation.martini import gromacs_files as gf
from nnpmm.permeation.martini.builder import require_room
from nnpmm.permeation.martini.engines import (
    EnergyTerms,
    ProgressCallback,
    Stage,
    StageResult,
    require_finite,
    whole_steps,
)
from nnpmm.permeation.martini.system import Configuration, MartiniSystem

__all__ = ["GromacsEngine"]

_POLL_SECONDS = 0.5
_MINIMIZATION_STEPS = 400
_TERMS = ("Potential", "Kinetic-En.", "Temperature", "Volume", "pV", "Enthalpy")


class GromacsEngine:
    """Runs Martini systems with the ``gmx`` that is on the PATH.

    Args:
        threads: OpenMP threads of ``gmx mdrun``; GROMACS chooses if None.

    Raises:
        OptionalDependencyError: there is no ``gmx``.
    """

    name = "gromacs"

    def __init__(self, *, threads: int | None = None):
        gmx = shutil.which("gmx")
        if gmx is None:
            raise OptionalDependencyError(
                "found no gmx on the PATH; install GROMACS (Debian and Ubuntu: apt install "
                "gromacs; conda: conda install -c conda-forge gromacs), or use engine openmm"
            )
        self._gmx = gmx
        self._threads = threads

    def version(self) -> str:
        """Return the version of GROMACS."""
        done = subprocess.run([self._gmx, "--version"], capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("GROMACS version")]
        return lines[0].partition(":")[2].strip() if lines else "unknown"

    def energy(self, system: MartiniSystem, configuration: Configuration) -> EnergyTerms:
        """Return the potential energy of one configuration (a run of no steps)."""
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            options = {**gf.nonbonded_options(), "integrator": "md", "nsteps": 0, "nstenergy": 1}
            self._prepare(system, configuration, options, directory, "point")
            self._mdrun(directory, "point")
            terms = ["LJ-(SR)", "Coulomb-(SR)"]
            terms += ["Bond"] if system.bonds else []
            terms += ["G96Angle"] if system.angles else []
            values = self.read_energies(directory, "point", tuple(terms))
        first = {name: float(column[0]) for name, column in values.items()}
        return EnergyTerms(
            bonds=first.get("Bond", 0.0),
            angles=first.get("G96Angle", 0.0),
            lennard_jones=first["LJ-(SR)"],
            coulomb=first["Coulomb-(SR)"],
        )

    def minimize(
        self, system: MartiniSystem, configuration: Configuration, directory: Path
    ) -> Configuration:
        """Return a configuration after steepest descent; files go to a folder."""
        options = gf.minimization_options(_MINIMIZATION_STEPS)
        self._prepare(system, configuration, options, directory, "minimize")
        self._mdrun(directory, "minimize")
        final = gf.read_g96(directory / "minimize.g96")
        require_finite(final, "minimisation")
        return Configuration(final.positions, final.box)

    def run(
        self,
        system: MartiniSystem,
        configuration: Configuration,
        stage: Stage,
        directory: Path,
        progress: ProgressCallback | None = None,
        *,
        extra: Mapping[str, object] | None = None,
    ) -> StageResult:
        """Run a stage of dynamics, or continue from its checkpoint.

        Args:
            system: what to simulate.
            configuration: where to start.
            stage: conditions and length.
            directory: for GROMACS' files.
            progress: called with the picoseconds that are done.
            extra: further run options of GROMACS, which overrule those of the stage.

        Raises:
            KilledError: GROMACS was stopped or killed by a signal.
            SimulationError: GROMACS failed, or the system blew up.
        """
        name = stage.name
        if not (directory / f"{name}.tpr").exists():
            options = gf.stage_options(system, configuration, stage) | dict(extra or {})
            self._prepare(system, configuration, options, directory, name)
        self._mdrun(directory, name, stage=stage, progress=progress)
        reached = self.read_energies(directory, name, ("Potential",))["time"][-1]
        if abs(reached - stage.length) > stage.timestep:
            raise KilledError(
                f"stage {name}: gmx mdrun was stopped by a signal at {reached:g} of "
                f"{stage.length:g} ps; repeat the command to continue"
            )
        final = gf.read_g96(directory / f"{name}.g96")
        require_finite(final, f"stage {name}")
        if stage.frame_interval is None:
            return StageResult(final, None, {})
        return StageResult(final, directory / f"{name}.trr", self._observables(directory, stage))

    def _observables(self, directory: Path, stage: Stage) -> dict[str, NDArray[np.float64]]:
        terms = _TERMS if stage.ensemble == "NPT" else _TERMS[:3]
        read = self.read_energies(directory, stage.name, terms)
        steps = np.rint(read["time"] / stage.timestep)
        every = whole_steps(stage.frame_interval or stage.length, stage.timestep)
        # Energies are also written at the last step, where there need be no frame.
        read = {name: column[steps % every == 0] for name, column in read.items()}
        found = {
            "time": read["time"],
            "potential": read["Potential"],
            "kinetic": read["Kinetic-En."],
            "temperature": read["Temperature"],
        }
        if stage.ensemble == "NPT":
            found |= {"volume": read["Volume"], "enthalpy": read["Enthalpy"]}
        return found

    def read_energies(
        self, directory: Path, name: str, terms: tuple[str, ...]
    ) -> dict[str, NDArray[np.float64]]:
        """Return terms of an energy file by ``gmx energy``, and ``time`` in ps.

        Args:
            directory: folder of the run.
            name: of its files.
            terms: names as ``gmx energy`` lists them.
        """
        columns: dict[str, NDArray[np.float64]] = {}
        for term in terms:  # one by one, since gmx energy orders its columns itself
            arguments = ["energy", "-f", f"{name}.edr", "-o", f"{name}-energy.xvg"]
            arguments += ["-xvg", "none", "-dp"]
            self._call(arguments, directory, answer=f"{term}\n\n")
            rows = gf.read_xvg(directory / f"{name}-energy.xvg")
            _, first = np.unique(rows[:, 0], return_index=True)  # a restart repeats a row
            columns["time"], columns[term] = rows[first, 0], rows[first, 1]
        return columns

    def _prepare(
        self,
        system: MartiniSystem,
        configuration: Configuration,
        options: dict[str, object],
        directory: Path,
        name: str,
    ) -> None:
        require_room(configuration.box)
        write_atomically(directory / f"{name}.top", gf.topology_text(system))
        write_atomically(directory / f"{name}.gro", gf.structure_text(system, configuration))
        write_atomically(directory / f"{name}.ndx", gf.index_text(system))
        write_atomically(directory / f"{name}.mdp", gf.mdp_text(options))
        arguments = ["grompp", "-maxwarn", "2", "-po", f"{name}.out.mdp"]
        for flag, suffix in (("-f", "mdp"), ("-c", "gro"), ("-p", "top"), ("-n", "ndx")):
            arguments += [flag, f"{name}.{suffix}"]
        # Rename the run input when it is complete: an interrupted grompp must leave no part of it.
        self._call([*arguments, "-o", f"{name}.part.tpr"], directory)
        os.replace(directory / f"{name}.part.tpr", directory / f"{name}.tpr")

    def _mdrun(
        self,
        directory: Path,
        name: str,
        *,
        stage: Stage | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        arguments = ["mdrun", "-deffnm", name, "-c", f"{name}.g96", "-ntmpi", "1", "-pin", "off"]
        if self._threads is not None:
            arguments += ["-ntomp", str(self._threads)]
        if stage is not None:
            arguments += ["-cpt", "1", "-stepout", "2000", "-v"]
            if (directory / f"{name}.cpt").exists():
                arguments += ["-cpi", f"{name}.cpt"]
        poll = None
        if stage is not None and progress is not None:
            poll = _step_reader(stage.timestep, progress)
        self._call(arguments, directory, poll=poll)

    def _call(
        self,
        arguments: list[str],
        directory: Path,
        *,
        answer: str = "",
        poll: Callable[[str], None] | None = None,
    ) -> None:
        """Run a program of GROMACS in a folder; its output goes to a log there.

        Raises:
            KilledError: a signal from outside ended it.
            SimulationError: it failed; the message contains GROMACS' own reason.
        """
        log = directory / f"gmx-{arguments[0]}.log"
        environment = {**os.environ, "GMX_MAXBACKUP": "-1"}
        environment.pop("OMP_NUM_THREADS", None)  # would contradict -ntomp
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [self._gmx, "-quiet", "-nobackup", *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                preexec_fn=end_with_parent(),
            )
            try:
                _feed(process, answer)
                while poll is not None and process.poll() is None:
                    time.sleep(_POLL_SECONDS)
                    poll(_tail(log))
                status = process.wait()
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if status != 0:
            raise _failure(arguments[0], directory, status, log)


def _step_reader(timestep: float, progress: ProgressCallback) -> Callable[[str], None]:
    """Return a function that finds the last step in mdrun's output and reports its time."""

    def read(output: str) -> None:
        words = output.rsplit("step ", 1)[-1].split(",")[0].split()
        if words and words[0].isdigit():
            progress(int(words[0]) * timestep)

    return read


def _feed(process: subprocess.Popen[str], answer: str) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(answer)


def _tail(path: Path, size: int = 400) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("utf-8", errors="replace")


def _failure(program: str, directory: Path, status: int, log: Path) -> SimulationError:
    """Return why a program of GROMACS ended with a status that is not 0."""
    name = ending_signal(status)
    if name is None:
        return SimulationError(
            f"gmx {program} failed in {directory} with status {status}: {_reason(log)}"
        )
    if is_crash(name):
        return SimulationError(f"gmx {program} crashed in {directory}, killed by {name}")
    hint = " (it may have run out of memory)" if name == "SIGKILL" else ""
    return KilledError(f"gmx {program} was killed by {name} in {directory}{hint}")


def _reason(log: Path) -> str:
    """Return GROMACS' error message in one line, without mdrun's lines of progress."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line for line in lines if not line.startswith(("step ", "imb F", "vol "))]
    starts = [n for n, line in enumerate(lines) if line.startswith(("Fatal error", "Error in"))]
    chosen = lines[starts[-1] + 1 : starts[-1] + 6] if starts else lines[-3:]
    text = " ".join(" ".join(chosen).split()).split("For more information")[0]
    return text.strip() or "no message"
