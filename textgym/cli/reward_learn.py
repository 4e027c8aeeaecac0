r"""Train a reward model on feedback of all kinds at once: scores, comparisons, rankings and words.

STORE is a store of feedback (a file, or postgresql://USER@HOST/NAME) or a file that `textgym
feedback export` wrote. Each kind has its own loss and weight; kinds that are absent cost nothing.
Words go through a critic that makes numbers of them: the rubric's own, or one learned from --rated.
Each term is reported apart, on prompts that were held out. The output folder gets `model/`, a
reward model or an ensemble, either of them a `reward_model=` of the text environments;
`results.json`; and `training/`: an interrupted run is continued by the same command.

Examples:
  textgym reward learn runs/feedback.db --model runs/sft/model --reference-model runs/sft/model
  textgym reward learn labels.jsonl.gz --model runs/sft/model --members 3 --rule minimum \
      --language-weight 0.5
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from textgym.agents.reward_learning.labels import Critic, labels_from_records
from textgym.agents.reward_learning.term_reports import TermReport
from textgym.agents.reward_learning.text_training import TextRewardConfig, fit_text_reward
from textgym.cli.environment import load_quietly
from textgym.cli.feedback_records import records_of
from textgym.cli.flags import add_config_flags, config_from
from textgym.dataset_files import column_value, read_rows
from textgym.feedback.records import LanguageFeedback
from textgym.feedback.teachers.critic import Critic as WordCritic
from textgym.feedback.teachers.critic import rubric_critic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym reward learn`."""
    parser.add_argument("store", help="store of feedback, or a file of records")
    parser.add_argument("--held-out", metavar="STORE", help="records that are only measured on")
    parser.add_argument(
        "--rated", metavar="FILE", help="words with a number in [0, 1] each, to learn a critic from"
    )
    parser.add_argument("--text-column", default="text", help="of --rated [default: text]")
    parser.add_argument("--rating-column", default="rating", help="of --rated [default: rating]")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/reward"),
        help="folder of the run; one that was interrupted goes on [default: runs/reward]",
    )
    add_config_flags(parser, TextRewardConfig)


def run(args: argparse.Namespace) -> int:
    """Train, and print what was measured of each term."""
    load_quietly()
    config = config_from(args, TextRewardConfig)
    critic = _critic(args)
    labels = labels_from_records(records_of(args.store), critic)
    held_out = labels_from_records(records_of(args.held_out), critic) if args.held_out else None
    result = fit_text_reward(labels, config, held_out, output=args.output, progress=True)
    lines = [f"{kind:14} {count} labels trained on" for kind, count in result.counts.items()]
    for kind, report in result.held_out.items():
        lines += list(_lines(kind, report))
    for number, numbers in enumerate(result.calibrations):
        said = ", ".join(f"{kind} a={a:.2f} b={b:.2f}" for kind, (a, b) in numbers.items())
        lines += [f"member {number}: {said}"] if said else []
    sys.stdout.write("\n".join([*lines, f"model: {result.folder}"]) + "\n")
    return 0


def _lines(kind: str, report: TermReport) -> Iterator[str]:
    yield f"{kind}, {report.count} held out"
    yield f"  {'loss':18} {report.loss} ({report.knows_nothing:.3f} knows nothing)"
    if report.accuracy is not None:
        yield f"  {'accuracy':18} {report.accuracy}"
    if report.correlation is not None:
        yield f"  {'correlation':18} {report.correlation:.3f}"


def _critic(args: argparse.Namespace) -> Critic:
    critic = rubric_critic()
    if args.rated:
        rows = list(enumerate(read_rows(args.rated)))
        texts = [str(column_value(row, args.text_column, number)) for number, row in rows]
        ratings = [float(column_value(row, args.rating_column, number)) for number, row in rows]
        critic = WordCritic.fit(texts, ratings)

    def read(said: Sequence[LanguageFeedback]) -> np.ndarray:
        return critic.scores([record.words for record in said])

    return read
