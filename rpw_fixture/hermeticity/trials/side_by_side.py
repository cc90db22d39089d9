"""Running functions side by side, each in a thread, until one of them fails or the user interrupts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run(tasks: Sequence[Callable[[], T]], jobs: int, stop: Callable[[], None]) -> list[T]:
    """Return the results of functions in their order; raise what the first of them raises.

    Args:
        tasks: the functions.
        jobs: number of those that run at once; with 1, they run in the calling thread.
        stop: makes running functions end soon, when the user interrupts.
    """
    if jobs == 1 or len(tasks) < 2:
        return [each() for each in tasks]
    with ThreadPoolExecutor(jobs, thread_name_prefix="rpw-check") as pool:
        waiting = [pool.submit(each) for each in tasks]
        try:
            return [each.result() for each in waiting]
        except BaseException as error:
            for each in waiting:
                each.cancel()
            if isinstance(error, KeyboardInterrupt):
                stop()  # do not wait for what still runs
            raise
