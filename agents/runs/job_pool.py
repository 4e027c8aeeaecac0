"""Jobs that need nothing of each other, side by side in worker processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch
import transformers.utils.logging

Job = Callable[[], str]


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[str]:
    """Run jobs and give what each returns, in the order in which they end.

    Args:
        jobs: Picklable: they travel to new processes.
        workers: Processes, at least 1; 1 works in this one. The cores are shared out evenly.

    Raises:
        ValueError: `workers` below 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers!r}")
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from (job() for job in jobs)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(threads,),
    )
    try:
        for future in as_completed([pool.submit(job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
