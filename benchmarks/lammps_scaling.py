"""Model how ANI-2x water on LAMMPS would scale over GPUs, from separate measurements.

Nothing here was measured on several GPUs. The time of a step is the sum of

* the evaluation of the atoms of a domain: the times of one H100 for boxes of water and, below 3,000
  atoms, molecules (results/gpu_ani.json), interpolated on logarithmic scales;
* the work of LAMMPS and of the callback for the atoms and ghosts of a domain: results of
  lammps_water.py on one core;
* messages: positions of the ghosts arrive and forces on them go back, 24 bytes each, with the
  latency and bandwidth assumed below.

Domains are cubes. Ghosts extend as far as the range of the network plus the margin. The scheme with
a second shell of ghosts would also evaluate the ghosts within the range. The script prints tables,
and writes results/lammps_scaling.json and docs/images/lammps_scaling.png.
Usage: python benchmarks/lammps_scaling.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from common import RESULTS, save_image, write_results
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from nnpmm.plots import style

DENSITY = 100.0  # atoms of water per nm^3
RANGE, REACH = 0.51, 0.61  # nm, range of ANI-2x, without and with the margin
LATENCY, BANDWIDTH = 1e-5, 1e10  # s of a message, bytes/s; assumed
MESSAGES = 6  # to the neighbours along the axes, in each direction
TIMESTEP = 0.5e-6  # ns
GPUS = (1, 2, 4, 8, 16, 32, 64)
SIZES = (96_000, 7_700_000)  # atoms
PUBLISHED = (0.11, 0.16)  # ns/day, 96,000 atoms on one card (Jaffrelot Inizan et al., 2023)
GPU_MEMORY = 80e9  # bytes


def main() -> None:
    measured = {name: results(name) for name in ("gpu_ani", "lammps_water")}
    model = Model(measured)
    curves = {
        str(n_atoms): [
            model.step(n_atoms, gpus)
            for gpus in GPUS
            if model.bytes_of(n_atoms / gpus) < GPU_MEMORY
        ]
        for n_atoms in SIZES
    }
    checks = shells(measured["lammps_water"])
    for n_atoms, rows in curves.items():
        print(table(int(n_atoms), rows))
    for row in checks:
        print(row)
    figures = {
        "us_around_evaluation_per_atom": 1e6 * model.around,
        "gpu_bytes_per_atom": model.bytes_of(1.0),
        "assumed": {"latency_s": LATENCY, "bandwidth_bytes_s": BANDWIDTH},
        "timestep_fs": TIMESTEP * 1e6,
    }
    print(write_results("lammps_scaling", {**figures, "curves": curves, "ghosts": checks}))
    draw(curves, checks)


def table(n_atoms: int, rows: list[dict[str, float]]) -> str:
    """Return a table of docs/validation/lammps.md."""
    heading = (
        f"{n_atoms:,} atoms, GPUs", "evaluation, ms", "around it, ms", "messages, ms",
        "bytes of a rank", "ns/day", "with two shells",
    )  # fmt: skip
    lines = [f"| {' | '.join(heading)} |", "|" + " --- |" * len(heading)]
    for row in rows:
        parts = [f"{1e3 * row[f'{name}_s']:.2f}" for name in ("evaluation", "around", "messages")]
        speeds = [f"{row[name]:.2f}" for name in ("ns_day", "ns_day_two_shells")]
        cells = [f"{row['gpus']}", *parts, f"{row['message_bytes']:,.0f}", *speeds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def results(name: str) -> Any:
    """Return the results of another benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text())["results"]


class Model:
    """Model the time of a step, s, as a function of the number of GPUs."""

    def __init__(self, measured: dict[str, Any]) -> None:
        gpu = measured["gpu_ani"]
        times = {each["atoms"]: each["ms"] / 1e3 for each in gpu["boxes"]}
        times |= {each["atoms"]: each["us_from_host"] / 1e6 for each in gpu["molecules"]}
        self._atoms = np.array(sorted(times))
        self._seconds = np.array([times[n] for n in sorted(times)])
        largest = gpu["boxes"][-1]
        self._bytes = largest["peak_gib"] * 2**30 / largest["atoms"]
        rows = measured["lammps_water"]["size"].values()
        self.around = float(
            np.median(
                [
                    (row["processor_s"] - row["evaluation_s"]) / (row["owned"] + row["ghosts"])
                    for row in rows
                ]
            )
        )

    def bytes_of(self, n_atoms: float) -> float:
        """Return the memory of an evaluation on the GPU, bytes."""
        return self._bytes * n_atoms

    def evaluation(self, n_atoms: float) -> float:
        """Return the time of an evaluation, s, extrapolated linearly beyond the largest box."""
        largest = float(self._atoms[-1])
        if n_atoms > largest:
            return float(self._seconds[-1]) * n_atoms / largest
        logarithm = np.interp(np.log(n_atoms), np.log(self._atoms), np.log(self._seconds))
        return float(np.exp(logarithm))

    def step(self, n_atoms: int, gpus: int) -> dict[str, float]:
        """Return the parts of a step, s, and the speeds of both schemes, ns/day."""
        owned = n_atoms / gpus
        ghosts, further = (float(ghosts_in_box(owned, width)) for width in (REACH, REACH + RANGE))
        around, messages = self._around(owned + ghosts), self._messages(ghosts, gpus, ways=2)
        once = self.evaluation(owned)
        # On a single GPU, all ghosts are images of its own atoms, whose energies it knows.
        twice = once if gpus == 1 else self.evaluation(owned + float(ghosts_within(owned)))
        two_shells = twice + self._around(owned + further) + self._messages(further, gpus, ways=1)
        return {
            "gpus": gpus,
            "evaluation_s": once,
            "around_s": around,
            "messages_s": messages,
            "message_bytes": 48 * ghosts if gpus > 1 else 0.0,
            "ns_day": per_day(once + around + messages),
            "ns_day_two_shells": per_day(two_shells),
        }

    def _around(self, n_atoms: float) -> float:
        return self.around * n_atoms

    def _messages(self, ghosts: float, gpus: int, *, ways: int) -> float:
        if gpus == 1:
            return 0.0
        sums = 2 * LATENCY * float(np.log2(gpus))  # over all ranks
        return sums + ways * (MESSAGES * LATENCY + 24 * ghosts / BANDWIDTH)


def per_day(seconds: float) -> float:
    """Return the speed in ns/day for the time of a step."""
    return 86400 / seconds * TIMESTEP


def ghosts_in_box(owned: ArrayLike, width: float = REACH) -> NDArray[np.float64]:
    """Return the number of LAMMPS' ghosts of a cube, which fill a box wider on every side."""
    edge = (np.asarray(owned) / DENSITY) ** (1 / 3)
    return DENSITY * ((edge + 2 * width) ** 3 - edge**3)


def ghosts_within(owned: ArrayLike) -> NDArray[np.float64]:
    """Return the number of ghosts within the range of a cube, with round edges and corners."""
    edge = (np.asarray(owned) / DENSITY) ** (1 / 3)
    return DENSITY * (6 * edge**2 * RANGE + 3 * np.pi * edge * RANGE**2 + 4 / 3 * np.pi * RANGE**3)


def shells(water: dict[str, Any]) -> list[dict[str, float]]:
    """Return the ghosts of the simulated domains, and those of the model."""
    return [
        {
            "owned": row["owned"],
            "ghosts": row["ghosts"],
            "ghosts_model": float(ghosts_in_box(row["owned"])),
            "within_range": row["ghosts_within_range"],
            "within_range_model": float(ghosts_within(row["owned"])),
        }
        for row in water["size"].values()
    ]


def draw(curves: dict[str, list[dict[str, float]]], checks: list[dict[str, float]]) -> None:
    """Draw the speed by number of GPUs, and the evaluations that a second shell would add."""
    figure, (speed, share) = style.create_panels(columns=2, width=8, height=3.6)
    for (n_atoms, rows), color in zip(curves.items(), style.COLORS, strict=False):
        draw_speed(speed, int(n_atoms), rows, color)
    low, high = PUBLISHED
    speed.plot([1, 1], [low, high], color=style.BLACK, linewidth=5, solid_capstyle="butt")
    speed.annotate(
        "published:\n96,000 atoms,\none card",
        (1.15, np.sqrt(low * high)),
        va="center",
        fontsize=style.SMALL,
    )
    speed.set(xscale="log", yscale="log", xticks=GPUS, xticklabels=[str(n) for n in GPUS])
    speed.minorticks_off()
    style.dress(speed, xlabel="GPUs", ylabel="model: speed at 0.5 fs / (ns/day)")
    style.legend(speed, loc="upper left")
    owned = np.geomspace(500, 200_000, 200)
    share.plot(owned, 1 + ghosts_within(owned) / owned, label="evaluated with two shells: model")
    share.plot(owned, 1 + ghosts_in_box(owned) / owned, label="atoms and ghosts: model")
    places = [row["owned"] for row in checks]
    for key, color in (("within_range", style.BLUE), ("ghosts", style.RED)):
        heights = [1 + row[key] / row["owned"] for row in checks]
        share.plot(places, heights, "o", color=color, label="as run" if key == "ghosts" else None)
    share.axhline(1, color=style.BLACK, linewidth=0.8)
    share.set(xscale="log", ylim=(0.8, 6))
    style.dress(share, xlabel="atoms of a domain", ylabel="atoms / atoms of the domain")
    style.legend(share)
    save_image(figure, "lammps_scaling")


def draw_speed(axes: Axes, n_atoms: int, rows: list[dict[str, float]], color: str) -> None:
    """Draw the speed of one system by number of GPUs."""
    gpus = [row["gpus"] for row in rows]
    speeds = [row["ns_day"] for row in rows]
    name = f"{n_atoms:,} atoms" if n_atoms < 1e6 else f"{n_atoms / 1e6:.1f} million atoms"
    axes.plot(gpus, speeds, "o-", color=color, markersize=4, label=name)
    axes.plot(
        gpus, [row["ns_day_two_shells"] for row in rows], "--", color=color,
        label=f"{name}, two shells",
    )  # fmt: skip
    ideal = [speeds[0] * n / gpus[0] for n in gpus]
    axes.plot(gpus, ideal, color=style.GREY, linewidth=0.8, linestyle=":", zorder=0)


if __name__ == "__main__":
    main()
