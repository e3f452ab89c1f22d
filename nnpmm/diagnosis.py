"""Diagnose what works on this machine, and why the rest does not."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openmm
import torch

from nnpmm._version import __version__
from nnpmm.core.errors import ModelError, NnpmmError, OptionalDependencyError
from nnpmm.core.platforms import FASTEST_FIRST, loaded_platforms, try_platform
from nnpmm.core.versions import installed_version
from nnpmm.models.aimnet import backends as aimnet_backends
from nnpmm.models.aimnet import weights as aimnet_weights
from nnpmm.models.ani import backends as ani_backends
from nnpmm.models.ani import weights as ani_weights
from nnpmm.models.backends import Backend, choose_backend
from nnpmm.models.devices import choose_device
from nnpmm.models.registry import families
from nnpmm.models.threads import thread_count

__all__ = ["Finding", "diagnose"]

_PACKAGES = ("torchani", "numpy", "mdtraj", "rdkit", "pydantic", "safetensors")
_OPTIONAL = {
    "openff-toolkit": "ligand parameters: conda install -c conda-forge openff-toolkit",
    "openmmml": "other models and cross-checks: pip install openmmml",
    "openmmtorch": "TorchForce transport: conda install -c conda-forge openmm-torch",
    "nnpops": "NNPOps kernels: conda install -c conda-forge nnpops",
}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis: its group, subject, verdict (None: optional) and explanation."""

    group: str
    subject: str
    ok: bool | None
    detail: str


def diagnose() -> list[Finding]:
    """Return versions, OpenMM platforms, model families, backends and each model's weights.

    A finding with ``ok=False`` means that hybrid simulations cannot run here.
    """
    return [*_versions(), *_platforms(), *_families(), *_backends(), *_weights()]


def _versions() -> list[Finding]:
    findings = [
        Finding("version", "nnpmm", True, __version__),
        Finding("version", "python", True, platform.python_version()),
        Finding("version", "openmm", _at_least_8_6(), openmm.version.full_version),
        Finding("version", "torch", True, torch.__version__),
    ]
    for name in _PACKAGES:
        version = installed_version(name)
        findings.append(Finding("version", name, version is not None, version or "not installed"))
    for name, purpose in _OPTIONAL.items():
        version = installed_version(name)
        findings.append(
            Finding(
                "version", name, True if version else None, version or f"not installed ({purpose})"
            )
        )
    return [*findings, _ambertools(), _gromacs()]


def _ambertools() -> Finding:
    from nnpmm.structures.ligands import ambertools

    version = ambertools.installed_version()
    purpose = "AM1-BCC charges and GAFF2 for ligands: pip install nnpmm[amber]"
    verdict = None if version is None else True
    return Finding("version", "ambertools", verdict, version or f"not found ({purpose})")


def _gromacs() -> Finding:
    from nnpmm.permeation.martini.gromacs import GromacsEngine

    try:
        return Finding("version", "gromacs", True, GromacsEngine().version())
    except OptionalDependencyError:
        purpose = "needed for nnpmm permeation on a CPU: apt install gromacs"
        return Finding("version", "gromacs", None, f"not found ({purpose})")


def _at_least_8_6() -> bool:
    numbers = openmm.version.short_version.split(".")
    return tuple(int(x) for x in numbers[:2]) >= (8, 6) and hasattr(openmm, "PythonForce")


def _platforms() -> list[Finding]:
    """Try every platform on two particles, or find the reason why its plug-in did not load."""
    loaded = loaded_platforms()
    failures = " ".join(openmm.Platform.getPluginLoadFailures())
    findings = []
    for name in FASTEST_FIRST:
        unavailable = False if name in ("CPU", "Reference") else None
        if name not in loaded:
            reason = next(
                (line for line in failures.split("Error loading library") if name in line), ""
            )
            detail = " ".join(reason.split())[:160] or f"no plug-in installed{_install_hint(name)}"
            findings.append(Finding("platform", name, unavailable, detail))
            continue
        problem = _platform_problem(name, loaded[name])
        works = f"works{_mps_hint()}" if name == "CUDA" else "works"
        verdict = True if problem is None else unavailable
        findings.append(Finding("platform", name, verdict, problem or works))
    return findings


def _mps_hint() -> str:
    """Return whether NVIDIA's MPS runs; without it, the GPU switches contexts in every step."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))
    if (folder / "control").exists():
        return " (with NVIDIA's MPS)"
    return "; NNP/MM is faster after nvidia-cuda-mps-control -d"


def _platform_problem(name: str, chosen: openmm.Platform) -> str | None:
    """Return why a platform cannot be used; the number of threads is checked before they start."""
    if name == "CPU":
        try:
            thread_count()
        except ModelError as error:
            return str(error)
    return try_platform(chosen)


def _install_hint(name: str) -> str:
    hints = {
        "CUDA": ": pip install 'nnpmm[cuda12]' or 'nnpmm[cuda13]'",
        "HIP": ": pip install openmm-hip-6",
    }
    return hints.get(name, "")


def _families() -> list[Finding]:
    """Return every family of models with its names, and the families that cannot be imported."""
    with warnings.catch_warnings(record=True) as failures:
        warnings.simplefilter("always")
        found = families()
    findings = [
        Finding("model family", title, True, ", ".join(family.names()) or family.accepts)
        for title, family in found.items()
    ]
    return [
        *findings,
        *(Finding("model family", "left out", None, str(each.message)) for each in failures),
    ]


def _backends() -> list[Finding]:
    """Every implementation of ANI and AIMNet2, and the ones that ``backend="auto"`` chooses."""
    return [
        *_backends_of("ANI backend", ani_backends.BACKENDS),
        Finding("ANI backend", "device", True, f"auto takes {choose_device('auto')}"),
        *_backends_of("AIMNet2 backend", aimnet_backends.BACKENDS),
    ]


def _backends_of(group: str, backends: Mapping[str, Backend[Any]]) -> list[Finding]:
    findings = []
    fastest, _ = choose_backend(backends, "auto")
    for name, backend in backends.items():
        if (remedy := backend.missing()) is not None:
            findings.append(Finding(group, name, None, remedy))
        else:
            chosen = " (chosen by auto)" if name == fastest else ""
            findings.append(Finding(group, name, True, backend.summary + chosen))
    return findings


def _weights() -> list[Finding]:
    """Return where each model's weights would come from; one model with weights is enough."""
    findings, usable = [], False
    published = dict.fromkeys(ani_weights.PUBLISHED, ani_weights.sources)
    published |= dict.fromkeys(aimnet_weights.PUBLISHED, aimnet_weights.sources)
    for name, sources in published.items():
        try:
            tried = list(sources(name))
        except NnpmmError as error:
            findings.append(Finding("weights", name, False, str(error)))
            continue
        first = next((source for source in tried if source.available), None)
        local = first is not None and first.path is not None
        usable = usable or local
        if first is None:
            missing = "; ".join(f"{source.kind}: {source.detail}" for source in tried)
            findings.append(Finding("weights", name, None, f"nowhere ({missing})"))
        else:
            detail = f"{first.kind}: {first.path or first.detail}"
            findings.append(Finding("weights", name, True if local else None, detail))
    if not usable:
        findings.append(
            Finding("weights", "any model", False, "no model's weights are on this machine")
        )
    return findings
