"""The store under several processes, killed processes, and many records."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textgym.feedback import Annotator, PromptText, Response, Score
from textgym.feedback.store import FeedbackStore

WRITER = Path(__file__).with_name("store_writer.py")
DEADLINE_SECONDS = 60.0


def start_writer(location: str, name: str, count: int, batch: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), location, name, str(count), str(batch)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(writer: subprocess.Popen[str]) -> int:
    """Number of records that the writer said were written, once it has ended."""
    assert writer.stdout is not None
    lines = [line for line in writer.stdout.read().split("\n") if line]
    writer.stdout.close()
    writer.wait(DEADLINE_SECONDS)
    return int(lines[-1]) if lines else 0


def written(location: str, name: str) -> list[str]:
    with FeedbackStore(location) as store:
        found = [stored.record.record_id for stored in store.iterate()]
    return [record_id for record_id in found if record_id.startswith(name)]


def test_two_writers_at_once_and_a_reader_that_misses_nothing(location: str) -> None:
    # Neither has a store yet: they make it at the same time too.
    writers = [start_writer(location, name, 150, 3) for name in ("one", "two")]
    seen: list[str] = []
    cursor, deadline = 0, time.monotonic() + DEADLINE_SECONDS
    with FeedbackStore(location) as store:
        while len(seen) < 300 and time.monotonic() < deadline:
            page = store.read(cursor, limit=7)
            seen += [stored.record.record_id for stored in page.records]
            cursor = page.cursor
    assert [said(writer) for writer in writers] == [150, 150]
    for name in ("one", "two"):
        expected = [f"{name}-{index}" for index in range(150)]
        assert [record_id for record_id in seen if record_id.startswith(name)] == expected
    assert len(seen) == 300


def test_a_writer_killed_in_the_middle_loses_and_doubles_nothing(location: str) -> None:
    count, batch = 100_000, 5
    writer = start_writer(location, "w", count, batch)
    assert writer.stdout is not None
    for _ in range(4):
        writer.stdout.readline()
    writer.kill()  # SIGKILL, or TerminateProcess: no handler runs
    told = max(said(writer), 4 * batch)
    found = written(location, "w")
    # All that it said it had written, and at most the batch that it was about to say; whole.
    assert told <= len(found) <= told + batch and len(found) % batch == 0
    assert found == [f"w-{index}" for index in range(len(found))]
    # Its successor does not know how far it came, and writes everything again.
    total = len(found) + 10
    again = start_writer(location, "w", total, batch)
    assert said(again) == total
    assert written(location, "w") == [f"w-{index}" for index in range(total)]


@pytest.mark.slow
def test_100_000_records_by_two_writers_that_are_killed_again_and_again(location: str) -> None:
    total, batch, draw = 50_000, 500, random.Random(0)
    names = ("one", "two")
    running = {name: start_writer(location, name, total, batch) for name in names}
    seen: list[str] = []
    cursor, deaths = 0, 0
    deadline = time.monotonic() + 20 * DEADLINE_SECONDS
    with FeedbackStore(location) as store:
        while len(seen) < 2 * total and time.monotonic() < deadline:
            page = store.read(cursor)
            seen += [stored.record.record_id for stored in page.records]
            cursor = page.cursor
            time.sleep(0.0 if page.records else 0.05)
            if deaths < 8 and len(seen) > (deaths + 1) * total // 6:
                # The successor knows nothing of how far it came.
                name = draw.choice(names)
                running[name].kill()
                said(running[name])
                running[name] = start_writer(location, name, total, batch)
                deaths += 1
    assert deaths == 8 and [said(running[name]) for name in names] == [total, total]
    assert len(seen) == 2 * total
    for name in names:
        own = [record_id for record_id in seen if record_id.startswith(name)]
        assert own == [f"{name}-{index}" for index in range(total)]
    with FeedbackStore(location) as store:
        assert store.statistics().records == 2 * total


@pytest.mark.slow
def test_100_000_records_are_written_and_read_back(tmp_path: Path) -> None:
    annotator = Annotator(id="sim", kind="simulated")
    prompt = PromptText(text="Q: " + "word " * 30, token_ids=tuple(range(30)))
    response = Response(prompt=prompt, text="word " * 20, token_ids=tuple(range(20)))
    with FeedbackStore(tmp_path / "many.db") as store:
        for first in range(0, 100_000, 10_000):
            store.append(
                Score(
                    annotator=annotator,
                    response=response,
                    value=(index % 1000) / 1000,
                    record_id=f"r{index}",
                )
                for index in range(first, first + 10_000)
            )
        count, total, last = 0, 0.0, ""
        for stored in store.iterate(batch_size=5000):
            assert isinstance(stored.record, Score) and stored.position == count + 1
            count, total, last = count + 1, total + stored.record.value, stored.record.record_id
    assert (count, last) == (100_000, "r99999")
    assert total == pytest.approx(49_950)
