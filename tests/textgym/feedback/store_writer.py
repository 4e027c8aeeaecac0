"""A process of its own that writes records: `store_writer.py LOCATION NAME COUNT BATCH`.

It says on standard output, after each `append`, how many records are safely written so far.
"""

from __future__ import annotations

import sys

from textgym.feedback import Annotator, PromptText, Response, Score
from textgym.feedback.store import FeedbackStore


def records(name: str, first: int, count: int) -> list[Score]:
    annotator = Annotator(id=name, kind="simulated")
    response = Response(prompt=PromptText(text="Q:"), text="word " * 20, token_ids=(1, 2, 3))
    return [
        Score(annotator=annotator, response=response, value=0.5, record_id=f"{name}-{index}")
        for index in range(first, first + count)
    ]


def main(location: str, name: str, count: int, batch: int) -> None:
    with FeedbackStore(location) as store:
        for first in range(0, count, batch):
            store.append(records(name, first, batch))
            print(first + batch, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
