"""Jobs in this process and in others."""

from __future__ import annotations

from functools import partial

import pytest

from textgym.agents.runs.job_pool import run_jobs


def job(name: str) -> str:
    if name == "bad":
        raise ValueError(f"no job {name!r}")
    return name.upper()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_run_once(workers: int) -> None:
    found = list(run_jobs([partial(job, name) for name in "abc"], workers))
    assert sorted(found) == ["A", "B", "C"]


def test_an_error_comes_through_and_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="no job 'bad'"):
        list(run_jobs([partial(job, "bad"), partial(job, "a")], 2))
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        list(run_jobs([partial(job, "a")], 0))
    assert list(run_jobs([], 3)) == []
