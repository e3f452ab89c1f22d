"""Calculate Gibbs scores of conformer generators for two alkanes of TorsionNet and ten drugs.

The protocol is that of the published evaluation (T. Gogineni et al., NeurIPS 2020, and its code):
200 conformers, each minimised by rdkit's MMFF94 with up to 200 steps, without conformers whose
torsion fingerprint deviation is below 0.05, kT = 1 kcal/mol, and the published E_0 and Z_0 of each
alkane. Confab starts from the geometry that Open Babel builds from the SMILES (--gen3d --fast); it
has no seed and runs once. Generators that minimise during their search use the same force field and
number of steps, so that each one needs 200 minimisations. There is no published reference for the
drugs, whose scores are relative to the mean of ETKDG.

The policy comes from a folder of ``nnpmm torsionnet train``; ``untrained`` is the same network with
fresh weights. The script skips runs that are already in the JSON file, unless they belong to
another policy.

python benchmarks/torsionnet.py --policy FOLDER --seeds 10 --drug-seeds 3
python benchmarks/torsionnet.py --tables
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import RESULTS, ROOT, write_results, write_section
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.conformers import (
    GibbsReference,
    etkdg_conformers,
    gibbs_score,
    monte_carlo_conformers,
)
from nnpmm.conformers.confab import confab_conformers
from nnpmm.conformers.gibbs import THRESHOLD
from nnpmm.conformers.rotors import rotatable_bonds
from nnpmm.conformers.screening import ForceField, with_conformers
from nnpmm.conformers.torsionnet import TrainedPolicy, load_policy, torsionnet_conformers
from nnpmm.conformers.torsionnet.policy import Policy
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.ligands.programs import find_program

NAME, VARIANT = "torsionnet", "MMFF94"
PAGE = ROOT / "docs" / "validation" / "conformers.md"
COUNT = 200
# Names in the JSON file, and labels in tables.
GENERATORS = {
    "etkdg": "ETKDG",
    "confab": "Confab",
    "monte-carlo": "Monte Carlo search",
    "untrained": "policy, untrained",
    "torsionnet": "policy, trained",
}


class Alkane(NamedTuple):
    """SMILES, and E_0 (kcal/mol) and Z_0 as published."""

    smiles: str
    energy: float
    normalization: float


METHYL, METHYLENE = "C([H])([H])[H]", "C([H])([H])"
# As published, with hydrogens in the same order, on which Confab's first 200 combinations depend.
ALKANES = {
    "11 torsions": Alkane(
        f"[H]{METHYLENE * 4}C([H])({METHYL}){METHYLENE * 3}C([H])({METHYLENE}{METHYL})"
        f"{METHYLENE * 3}{METHYL}",
        *(7.840935037731404, 13.066560104213275),
    ),
    "22 torsions": Alkane(
        f"[H]{METHYLENE * 6}[C@]([H])({METHYLENE}{METHYL}){METHYLENE * 2}"
        f"[C@@]([H])({METHYLENE * 5}{METHYL}){METHYLENE * 2}"
        f"[C@]([H])({METHYL}){METHYLENE * 5}{METHYL}",
        *(14.88278294332602, 1.2363186365185044),
    ),
}
#: Published scores, and for TorsionNet also its score and time relative to ETKDG.
PUBLISHED = {
    ("11 torsions", "etkdg"): "1.14 ± 0.16",
    ("11 torsions", "confab"): "0.10",
    ("22 torsions", "etkdg"): "1.22 ± 0.43",
    ("22 torsions", "confab"): "below 1e-4",
}
TORSIONNET = {
    "11 torsions": ("2.38 ± 0.25", 2.38 / 1.14, 15.7 / 11.4),
    "22 torsions": ("4.48 ± 1.86", 4.48 / 1.22, 35 / 69),
}
DRUGS = {
    "oseltamivir": "CCOC(=O)C1=C[C@@H](OC(CC)CC)[C@H](NC(C)=O)[C@@H](N)C1",
    "gefitinib": "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1",
    "losartan": "CCCCc1nc(Cl)c(CO)n1Cc1ccc(-c2ccccc2-c2nn[nH]n2)cc1",
    "tamoxifen": "CC/C(=C(\\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    "metoclopramide": "CCN(CC)CCNC(=O)c1cc(Cl)c(N)cc1OC",
    "captopril": "C[C@H](CS)C(=O)N1CCC[C@H]1C(=O)O",
    "propranolol": "CC(C)NC[C@@H](O)COc1cccc2ccccc12",
    "verapamil": "COc1ccc(CCN(C)CCC[C@](C#N)(C(C)C)c2ccc(OC)c(OC)c2)cc1OC",
    "atorvastatin": "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)"
    "CC(=O)O",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=tuple(GENERATORS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--drug-seeds", type=int, default=3)
    parser.add_argument("--tables", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rdBase.DisableLog("rdApp.*")
    logging.disable(logging.WARNING)  # warnings about undefined stereocentres
    if not arguments.tables:
        measure(arguments)
    results = json.loads((RESULTS / f"{NAME}.json").read_text())["results"]
    write_section(PAGE, "gibbs scores", alkane_table(results["runs"]))
    write_section(PAGE, "gibbs scores of drugs", drug_table(results["runs"]))
    write_section(PAGE, "evaluation of the policy", evaluation_table(results["policy"]))


def measure(arguments: argparse.Namespace) -> None:
    """Run all generators, seed by seed, and keep finished runs."""
    policies = policies_of(arguments)
    path = RESULTS / f"{NAME}.json"
    nothing: dict[str, Any] = {"policy": None, "runs": []}
    kept = json.loads(path.read_text())["results"] if path.exists() else nothing
    cards = summary(policies["torsionnet"]) if policies else kept["policy"]
    runs = [r for r in kept["runs"] if r["generator"] not in policies or r["policy"] == cards["id"]]
    done = {(r["molecule"], r["generator"], r["seed"]) for r in runs}
    jobs = [
        (name, a.smiles, seed) for seed in range(arguments.seeds) for name, a in ALKANES.items()
    ]
    jobs += [
        (n, smiles, seed) for seed in range(arguments.drug_seeds) for n, smiles in DRUGS.items()
    ]
    for name, smiles, seed in jobs:
        for generator in arguments.generators:
            needs_policy = generator in ("untrained", "torsionnet")
            if (name, generator, seed) in done or (needs_policy and not policies):
                continue
            if generator == "confab" and seed > 0:  # it has no seed
                continue
            run = {"molecule": name, "generator": generator, "seed": seed}
            run |= {"policy": cards["id"]} if needs_policy else {}
            runs.append(run | score(name, smiles, generator, seed, policies))
            print(runs[-1], flush=True)
            write_results(NAME, {"policy": cards, "runs": runs})


def policies_of(arguments: argparse.Namespace) -> dict[str, TrainedPolicy]:
    """Return the trained policy and an untrained one, if a folder is given."""
    if arguments.policy is None:
        return {}
    trained = load_policy(arguments.policy)
    torch.manual_seed(0)
    fresh = TrainedPolicy(trained.card, Policy(trained.card.training.policy).eval())
    return {"torsionnet": trained, "untrained": fresh}


def summary(policy: TrainedPolicy) -> dict[str, Any]:
    """Return a summary of a policy's training."""
    training = policy.card.training
    return {
        "id": policy.card.weights_sha256[:12],
        "updates": len(policy.card.curve),
        "conformers": len(policy.card.curve) * training.episodes * training.steps,
        "molecules": len(policy.card.molecules),
        "last": policy.card.curve[-1],
        "parameters": sum(p.numel() for p in policy.network.parameters()),
        "evaluation": [row.model_dump() for row in policy.card.evaluation],
    }


def score(
    name: str, smiles: str, generator: str, seed: int, policies: dict[str, TrainedPolicy]
) -> dict[str, float]:
    """Return the logarithm of a Gibbs score with E_0 = 0 and Z_0 = 1, and times in s."""
    began, spent = time.perf_counter(), processor_time()
    if generator == "confab" and name in ALKANES:
        molecule = built_by_open_babel(smiles)
    else:
        molecule = molecule_from_smiles(smiles, seed=seed)
    relaxed, energies = found_by(molecule, generator, seed, policies)
    wall, processor = time.perf_counter() - began, processor_time() - spent
    lowest = float(energies.min())
    relative = gibbs_score(relaxed, energies, GibbsReference(lowest))
    return {
        "log_score": math.log(relative) - lowest / KJ_PER_KCAL,
        "lowest_kcal_mol": lowest / KJ_PER_KCAL,
        "torsions": len(rotatable_bonds(molecule)),
        "conformers": len(energies),
        "wall_s": wall,
        "processor_s": processor,
    }


def found_by(
    molecule: Chem.Mol, generator: str, seed: int, policies: dict[str, TrainedPolicy]
) -> tuple[Chem.Mol, NDArray[np.float64]]:
    """Return minimised conformers of a generator with their energies, kJ/mol."""
    if generator == "etkdg":
        return relaxed_as_published(molecule, etkdg_conformers(molecule, COUNT, seed=seed))
    if generator == "confab":
        return relaxed_as_published(molecule, confab_conformers(molecule, COUNT))
    if generator == "monte-carlo":
        found = monte_carlo_conformers(molecule, COUNT, seed=seed, apart=THRESHOLD, variant=VARIANT)
    else:
        policy = policies[generator]
        found = torsionnet_conformers(molecule, COUNT, policy, seed=seed, variant=VARIANT)
    energies = ForceField(molecule, variant=VARIANT).energies(found)
    return with_conformers(molecule, found), energies


def processor_time() -> float:
    """Return the processor time of this process and its children so far, s."""
    return sum(os.times()[:4])


def built_by_open_babel(smiles: str) -> Chem.Mol:
    """Return a molecule with a geometry from Open Babel's builder."""
    with tempfile.TemporaryDirectory() as folder:
        program = find_program("obabel")
        if program is None:
            raise SystemExit("found no program obabel; install Open Babel or leave out confab")
        command = [program, f"-:{smiles}", "-O", "built.sdf", "--gen3d", "--fast"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (molecule,) = Chem.SDMolSupplier(f"{folder}/built.sdf", removeHs=False)
    return molecule


def relaxed_as_published(
    molecule: Chem.Mol, positions: NDArray[np.float64]
) -> tuple[Chem.Mol, NDArray[np.float64]]:
    """Return conformers after 200 steps of rdkit's MMFF94, and their energies, kJ/mol."""
    copy = with_conformers(molecule, positions)
    found = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(copy)
    return copy, KJ_PER_KCAL * np.array([energy for _, energy in found])


def alkane_table(runs: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table of alkanes, with scores by the published references."""
    lines = [
        "| | runs | score | published [1] | score / ETKDG | processor time / s | time / ETKDG |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, alkane in ALKANES.items():
        first: tuple[float, float] | None = None
        for generator, label in GENERATORS.items():
            some = [r for r in runs if (r["molecule"], r["generator"]) == (name, generator)]
            if not some:
                continue
            logs = np.array([r["log_score"] for r in some]) + alkane.energy
            scores = np.exp(logs) / alkane.normalization
            seconds = float(np.mean([r["processor_s"] for r in some]))
            first = first or (float(scores.mean()), seconds)
            published = PUBLISHED.get((name, generator), "")
            lines.append(
                f"| {label}, {name} | {len(scores)} | {spread(scores)} | {published} | "
                f"{short(scores.mean() / first[0])} | {seconds:.1f} | {seconds / first[1]:.2f} |"
            )
        published, ratio, slower = TORSIONNET[name]
        lines.append(
            f"| TorsionNet, {name} | | | {published} | {ratio:.2f} (published) | | "
            f"{slower:.2f} (published) |"
        )
    return lines


def drug_table(runs: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table of drugs, with scores relative to the mean of ETKDG.

    The last column is the mean difference of the lowest energies, Monte Carlo search minus ETKDG.
    """
    present = [g for g in GENERATORS if any(r["generator"] == g for r in runs)]
    lines = [
        f"| | bonds | {' | '.join(GENERATORS[g] for g in present)} | difference / (kcal/mol) |",
        f"| --- | --- |{' --- |' * len(present)} --- |",
    ]
    for name in DRUGS:
        logs = {
            g: np.array(
                [r["log_score"] for r in runs if (r["molecule"], r["generator"]) == (name, g)]
            )
            for g in present
        }
        if not len(logs["etkdg"]) or len(logs["etkdg"]) != len(logs["monte-carlo"]):
            continue
        unit = logs["etkdg"].max()
        base = float(np.exp(logs["etkdg"] - unit).mean())
        bonds = next(r["torsions"] for r in runs if r["molecule"] == name)
        cells = [spread(np.exp(logs[g] - unit) / base) if len(logs[g]) else "" for g in present]
        apart = lowest(runs, name, "monte-carlo") - lowest(runs, name, "etkdg")
        lines.append(f"| {name} | {bonds} | {' | '.join(cells)} | {apart.mean():+.1f} |")
    return lines


def evaluation_table(policy: dict[str, Any]) -> list[str]:
    """Return the lines of the table of results that ``nnpmm torsionnet evaluate`` stored."""
    searches = {
        "etkdg": GENERATORS["etkdg"],
        "monte_carlo": GENERATORS["monte-carlo"],
        "untrained": GENERATORS["untrained"],
        "policy": GENERATORS["torsionnet"],
    }
    lines = [
        f"| alkane | rotatable bonds | {' | '.join(searches.values())} |",
        f"| --- | --- |{' --- |' * len(searches)}",
    ]
    for row in policy["evaluation"]:
        scores = (f"{short(row[n]['mean'])} ± {short(row[n]['error'])}" for n in searches)
        # The brackets of stereocentres would become links in Markdown.
        flat = Chem.MolToSmiles(Chem.MolFromSmiles(row["smiles"]), isomericSmiles=False)
        lines.append(f"| `{flat}` | {row['rotors']} | {' | '.join(scores)} |")
    return lines


def lowest(runs: list[dict[str, Any]], name: str, generator: str) -> NDArray[np.float64]:
    """Return the lowest energy of each seed, kcal/mol, in the order of the seeds."""
    some = [r for r in runs if (r["molecule"], r["generator"]) == (name, generator)]
    return np.array([r["lowest_kcal_mol"] for r in sorted(some, key=lambda r: r["seed"])])


def spread(values: NDArray[np.float64]) -> str:
    """Return a mean with its standard deviation, if there are several values."""
    if len(values) < 2:
        return short(values[0])
    deviation = values.std(ddof=1)
    return f"{short(values.mean())} ± {short(deviation)}"


def short(value: float) -> str:
    """Return a number with about three significant digits."""
    if value == 0 or 0.01 <= abs(value) < 10:
        return f"{value:.2f}"
    return (
        f"{value:.0e}" if abs(value) < 0.01 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
    )


if __name__ == "__main__":
    main()
