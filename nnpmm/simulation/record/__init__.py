"""The folder of a run: its files, checkpoints, trajectory and energy log."""
