"""Jobs that need nothing of each other, side by side in worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch
import transformers.utils.logging

Job = Callable[[], str]


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[str]:
    """Run jobs and give what each returns, in the order in which they end; see `job_runner`."""
    with job_runner(min(workers, max(1, len(jobs)))) as run:
        yield from run(jobs)


@contextlib.contextmanager
def job_runner(workers: int) -> Iterator[Callable[[Sequence[Job]], Iterator[str]]]:
    """Give what runs jobs, for several lots one after the other on the same processes.

    What it gives takes the jobs, which are picklable (they travel to new processes), and yields
    what each returns, in the order in which they end. An error ends it and drops the jobs that have
    not begun.

    Args:
        workers: Processes, at least 1; 1 works in this one. The cores are shared out evenly.

    Raises:
        ValueError: `workers` below 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers!r}")
    if workers == 1:
        yield lambda jobs: (job() for job in jobs)
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(max(1, (os.cpu_count() or 1) // workers),),
    )

    def run(jobs: Sequence[Job]) -> Iterator[str]:
        for future in as_completed([pool.submit(job) for job in jobs]):
            yield future.result()

    try:
        yield run
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
