"""Work in several threads that ends together: the first failure cancels the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager


class Cancellation:
    """Remembers what has to be called to end what runs now (a program, a query)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether no new work should be started."""
        return self._requested

    @contextmanager
    def calls(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call ``callback`` if the block has to end early; at once if that is known already."""
        with self._lock:
            self._callbacks.append(callback)
            requested = self._requested
        try:
            if requested:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def cancel(self) -> None:
        """End everything that runs and whatever starts later."""
        with self._lock:
            self._requested = True
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


def run_together(cancellation: Cancellation, tasks: Sequence[Callable[[], None]]) -> None:
    """Run each task in its own thread and wait for all of them.

    Raises:
        Exception: what the first failed task raised, after the others were cancelled.
    """
    with ThreadPoolExecutor(max_workers=max(len(tasks), 1)) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in done if future.exception() is not None]
        except BaseException:
            cancellation.cancel()
            raise
        if failed:
            cancellation.cancel()
    for future in failed:
        future.result()
