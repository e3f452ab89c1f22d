"""Replicas that advance at the same time, with one batch of the network for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import openmm

from nnpmm.core.errors import ConfigError
from nnpmm.models.batching import JoinedCalls

__all__ = ["step_together"]


def step_together(contexts: Sequence[openmm.Context], steps: int) -> None:
    """Advance several contexts, each in a thread, and join their calls of the network.

    The contexts are of one hybrid System, or of copies of it. Their global parameters, temperatures
    and integrators may differ, as for alchemical windows or replicas. A call of the network waits
    until every context has one, and all are evaluated as a batch. Each context follows the same
    trajectory as it would alone, within the rounding of the network. Calls of a network that is
    polarized by its surroundings, or that describes a whole periodic system, are not joined.

    Args:
        contexts: each with an integrator; on the CPU platform give each one thread.
        steps: of every integrator. Every call starts new threads, and an interrupt waits for the
            end of the call, so some hundreds of steps are a good choice.

    Raises:
        ConfigError: a context occurs twice.
        OpenMMException: the error of the first context that failed; the others have finished their
            steps, unless the batch itself failed.
    """
    if len(set(map(id, contexts))) < len(contexts):
        raise ConfigError("found a context twice, allowed: one for each replica")
    calls = JoinedCalls(len(contexts))

    def step(context: openmm.Context) -> None:
        with calls.taking_part():
            context.getIntegrator().step(steps)

    with ThreadPoolExecutor(max(1, len(contexts)), "replica") as pool:
        futures = [pool.submit(step, context) for context in contexts]
    for future in futures:
        future.result()
