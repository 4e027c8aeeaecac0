"""`textgym feedback critic`: how well the critic turns words into numbers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from textgym.agents.evaluation.critic_measures import (
    Reading,
    reading,
    review_readings,
    squality_reviews,
)
from textgym.dataset_files import column_value, read_rows
from textgym.feedback.teachers.critic import Critic, rubric_critic, rubric_examples
from textgym.intervals import Estimate

_NUM_EXAMPLES = 2000
_NAME_WIDTH = 54


def run(args: argparse.Namespace) -> int:
    """Print a table of readings, and write them as JSON where asked."""
    readings = list(_readings(args))
    sys.stdout.write(f"{'':{_NAME_WIDTH}}{'pairwise accuracy':22}{'correlation':22}mean error\n")
    for item in readings:
        cells = (item.pairwise_accuracy, item.correlation, item.error)
        row = "".join(f"{_shown(cell):22}" for cell in cells)
        sys.stdout.write(f"{item.name:{_NAME_WIDTH}}{row}".rstrip() + "\n")
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(item) for item in readings], indent=2) + "\n")
    return 0


def _readings(args: argparse.Namespace) -> Iterator[Reading]:
    critic = rubric_critic(seed=args.seed)
    for phrasings in ("seen", "unseen"):
        texts, scores = rubric_examples(_NUM_EXAMPLES, phrasings=phrasings, seed=args.seed + 1)
        yield reading(f"{phrasings} phrasings", critic.scores(texts), scores)
    if args.reviews is not None:
        yield from review_readings(critic, squality_reviews(read_rows(args.reviews)))
    if args.rated is not None:
        yield from _rated_readings(args, critic)


def _rated_readings(args: argparse.Namespace, critic: Critic) -> Iterator[Reading]:
    """People's own words: read as the rubric taught it, and as half of these words teach it."""
    rows = list(read_rows(args.rated))
    texts = [str(column_value(row, args.text_column, i)) for i, row in enumerate(rows)]
    ratings = np.array(
        [float(column_value(row, args.rating_column, i)) for i, row in enumerate(rows)]
    )
    scores = (ratings - ratings.min()) / max(float(np.ptp(ratings)), 1e-12)
    order = np.random.default_rng(args.seed).permutation(len(texts))
    learned, tested = order[: len(order) // 2], order[len(order) // 2 :]
    held_out = [texts[i] for i in tested]
    yield reading(
        "people's words, learned on the rubric alone",
        critic.scores(held_out),
        scores[tested],
        same_scale=False,
    )
    own = Critic.fit([texts[i] for i in learned], scores[learned].tolist())
    yield reading("people's words, learned on half of them", own.scores(held_out), scores[tested])


def _shown(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)
