"""Every kernel compiles for sm_80 and sm_90, without a GPU, within the limits of these devices.

Triton's interpreter, which the other tests use, and its compiler exclude each other in one process:
the kernels are compiled by this file run as a script,

    python tests/models/test_triton_compile.py --atoms 75 --capability 80 90

which prints registers, stack (spills) and shared memory as JSON, one line for each kernel.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}  # bytes for each program
KERNELS = {
    "environment_forward",
    "first_forward",
    "hidden_layers",
    "first_backward",
    "environment_backward",
    "gather_results",
}
LOCAL = (KERNELS - {"environment_forward", "environment_backward", "gather_results"}) | {
    "neighbourhood_forward",
    "neighbourhood_backward",
}
TOOLS = ("ptxas", "cuobjdump")


def tools_folder() -> Path | None:
    """Folder of the assembler in the wheel of triton, if it has one."""
    if (found := importlib.util.find_spec("triton")) is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "backends" / "nvidia" / "bin"
    return folder if all((folder / tool).exists() for tool in TOOLS) else None


@pytest.mark.slow
@pytest.mark.skipif(tools_folder() is None, reason="needs triton with its bundled assembler")
@pytest.mark.parametrize(
    "options",
    [
        ["--atoms", "75", "--capability", "80", "90"],
        ["--atoms", "200", "--capability", "80"],
        ["--atoms", "5000", "--cells", "--elements", "HCNOSFL", "--capability", "90"],
        ["--atoms", "75", "--precision", "double", "--capability", "90"],
        ["--atoms", "5000", "--local", "--capability", "90"],
    ],
    ids=["ligand", "peptide", "protein", "double", "domain"],
)
def test_kernels_compile_and_fit(options, tmp_path):
    """Shared memory is within the limit; in single precision there are almost no spills."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, __file__, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    expected = KERNELS | ({"assign_cells"} if "--cells" in options else set())
    expected = LOCAL if "--local" in options else expected
    assert {row["kernel"] for row in rows} == expected
    for row in rows:
        assert row["shared"] <= SHARED_MEMORY[row["capability"]], row
        assert row["stack"] <= 32 or "double" in options, row  # triton 3.6: 8 bytes, 3.9: none


def empty_parameters(elements: str, members: int):
    """An ensemble of ANI-2x's shape without weights; L stands for chlorine."""
    from nnpmm.models.ani.parameters import AniParameters, Layer, SymmetryFunctions

    widths = dict.fromkeys(("S", "F", "Cl"), (160, 128, 96, 1))
    widths |= {"H": (256, 192, 160, 1), "C": (224, 192, 160, 1)}
    symbols = tuple(element.replace("L", "Cl") for element in elements)
    functions = SymmetryFunctions(
        elements=symbols,
        radial_cutoff=5.1,
        angular_cutoff=3.5,
        radial_eta=19.7,
        radial_shifts=tuple(np.linspace(0.8, 4.83125, 16)),
        angular_eta=12.5,
        angular_shifts=tuple(np.linspace(0.8, 3.1625, 8)),
        angular_zeta=14.1,
        angle_shifts=tuple(np.linspace(0.3926991, 2.7488936, 4)),
    )

    def layers(symbol: str) -> tuple[Layer, ...]:
        sizes = (functions.aev_length, *widths.get(symbol, (192, 160, 128, 1)))
        return tuple(
            Layer(np.zeros((b, a), dtype=np.float32), np.zeros(b, dtype=np.float32))
            for a, b in itertools.pairwise(sizes)
        )

    ensemble = tuple({symbol: layers(symbol) for symbol in symbols} for _ in range(members))
    return AniParameters(
        "empty", functions, ensemble, dict.fromkeys(symbols, 0.0), tuple(range(members))
    )


def launches(elements: str, members: int, n_atoms: int, precision: str, cells: bool):
    """All launches of a periodic and of a vacuum evaluation, for tensors on the CPU."""
    from nnpmm.models.ani.triton import engine
    from nnpmm.models.ani.triton.launch import Launch
    from nnpmm.models.ani.triton.memory import Model

    if cells:
        engine.LARGEST_WITHOUT_CELLS = 0
    parameters = empty_parameters(elements, members)
    symbols = [parameters.elements[i % len(parameters.elements)] for i in range(n_atoms)]
    model = Model.pack(parameters, symbols, "cpu", precision == "double")
    made = engine.Engine(model, [parameters.elements.index(s) for s in symbols])
    steps = [*made.steps(periodic=True), made.steps(periodic=False)[2 if cells else 0]]
    return [step for step in steps if isinstance(step, Launch)]


def local_launches(elements: str, members: int, n_atoms: int, precision: str):
    """All launches of a domain, half of whose atoms are centres."""
    from nnpmm.models.ani.triton import local

    local.require_device = lambda device: None  # tensors on the CPU are enough to compile
    made = local.LocalTriton(empty_parameters(elements, members), elements, "cpu", precision)
    return made.prepare(np.arange(n_atoms) % len(elements), n_atoms // 2).steps


def compiled(launch, capability: int):
    """Compile a launch as the just-in-time compiler would, with aligned pointers and integers."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    types = {"float32": "*fp32", "float64": "*fp64", "int32": "*i32", "int64": "*i64"}
    for i, name in enumerate(launch.kernel.arg_names):
        value = launch.arguments.get(name)
        if name in launch.constants:
            signature[name] = "constexpr"
        elif isinstance(value, int):
            signature[name] = "i32"
            if value % 16 == 0:
                attributes[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = types[str(value.dtype).removeprefix("torch.")]
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(launch.kernel, signature, constexprs=launch.constants, attrs=attributes)
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target=target, options=dict(launch.options))


def resources(kernel) -> dict[str, int]:
    """Registers, stack (spills and local arrays) and shared memory, from the assembler."""
    folder = tools_folder()
    assert folder is not None
    tool = folder / "cuobjdump"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])
        command = [str(tool), "--dump-resource-usage", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}
    return {
        "registers": found["REG"],
        "stack": found["STACK"] + found["LOCAL"],
        "shared": kernel.metadata.shared,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--elements", default="HCNO")
    parser.add_argument("--atoms", type=int, default=75)
    parser.add_argument("--precision", default="single")
    parser.add_argument("--cells", action="store_true")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--capability", type=int, nargs="+", default=[80, 90])
    options = parser.parse_args()
    arguments = (options.elements, options.members, options.atoms, options.precision)
    made = local_launches(*arguments) if options.local else launches(*arguments, options.cells)
    for launch in made:
        for capability in options.capability:
            found = resources(compiled(launch, capability))
            row = {"kernel": launch.kernel.fn.__name__, "capability": capability, **found}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
