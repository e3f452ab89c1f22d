"""Benchmarks: the cost of an evaluation and of a step on this machine."""

from nnpmm.benchmarking.dynamics import measure_steps, step_contexts
from nnpmm.benchmarking.networks import (
    LIGANDS,
    Molecule,
    measure_networks,
    molecule_from_structure,
    sample_molecules,
)
from nnpmm.benchmarking.record import machine, versions, write_record
from nnpmm.benchmarking.timing import Timing, time_in_turn

__all__ = [
    "LIGANDS",
    "Molecule",
    "Timing",
    "machine",
    "measure_networks",
    "measure_steps",
    "molecule_from_structure",
    "sample_molecules",
    "step_contexts",
    "time_in_turn",
    "versions",
    "write_record",
]
