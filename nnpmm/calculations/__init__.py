"""Runs, free energies, scans and conformers as the jobs of a campaign."""

from nnpmm.calculations.campaign import calculate, calculations_of, run_list
from nnpmm.calculations.commands import COMMANDS, Command, find_command

__all__ = ["COMMANDS", "Command", "calculate", "calculations_of", "find_command", "run_list"]
