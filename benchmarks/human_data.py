"""Reward models learned from what people said of real texts, beside the trivial baselines.

Every file becomes records of feedback through a mapping of its columns alone; a quarter of the
prompts is held out. The reward model starts from the bundled reference model of RLHF-Summarize-v0,
a toy that has read nothing like these texts: what is shown is that the road from people's labels to
an honest figure is there, not how good a reward model can be. Intervals of 95 %; those over several
judgements of one prompt resample the prompts. What is measured is kept in `--work`.

  python -m benchmarks.human_data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bag_of_words import fit_linear, word_features
from benchmarks.human_data_sets import DATA, HumanData
from benchmarks.report import parse_arguments, print_table, write_json
from textgym.agents.evaluation.agreement import agreement, votes_of
from textgym.agents.evaluation.critic_measures import within_groups
from textgym.agents.evaluation.reward_sources import ScoredText
from textgym.agents.reward_learning.labels import labels_from_records
from textgym.agents.reward_learning.text_items import TextReading
from textgym.agents.reward_learning.text_training import TextRewardConfig, fit_text_reward
from textgym.agents.supervised.preference_data import held_out_items
from textgym.cli.environment import load_quietly
from textgym.envs_registry.summarize import BUNDLE
from textgym.feedback.records import Comparison, Correction, FeedbackRecord, Score
from textgym.feedback.responses import Response
from textgym.intervals import Estimate, ratio_interval

Scores = Callable[[Sequence[Response]], np.ndarray]
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s|$)|$)", re.DOTALL)
READING = TextReading(max_prompt_tokens=64, max_response_tokens=96)


def run(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print the table and return what is written to the JSON file."""
    args = parse_arguments(__doc__ or "", argv, _add_arguments, repeats=None)
    load_quietly()
    args.work.mkdir(parents=True, exist_ok=True)
    found = [
        row
        for data in DATA
        if (args.data / f"{data.file}.train.jsonl.gz").is_file()
        for row in _kept(args, data)
    ]
    if not found:
        raise SystemExit(f"none of the {len(DATA)} files is in {args.data}")
    print_table(
        "held-out pairwise accuracy on human judgements",
        ("data", "asked", "pairs", "longer", "bag of words", "reward model", "people agree"),
        [_cells(row) for row in found],
    )
    write_json(args.json, "human_data", {}, found)
    return {"rows": found}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="folder of the files")
    parser.add_argument("--seed", type=int, default=0, help="of split and training (default: 0)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="(default: 5e-4)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("runs/human-data"),
        help="where what is measured is kept (default: runs/human-data)",
    )


def _kept(args: argparse.Namespace, data: HumanData) -> list[dict[str, Any]]:
    """Rows of one data set, from the work folder where they were measured before."""
    size = "-quick" if args.quick else ""
    file = args.work / f"{data.file}-{args.seed}{size}.json"
    if not file.is_file():
        rows = list(_measured(args, data))
        file.write_text(json.dumps(rows), encoding="utf-8")
    kept: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return kept


def _measured(args: argparse.Namespace, data: HumanData) -> Iterator[dict[str, Any]]:
    records = data.records(args.data)
    keys = [_key(record) for record in records]
    held = held_out_items(keys, 0.25, args.seed)
    learned = [r for r, key in zip(records, keys, strict=True) if key not in held]
    judged = [r for r, key in zip(records, keys, strict=True) if key in held]
    if args.quick:
        learned, judged = learned[:: len(learned) // 60 + 1], judged
    folder = args.work / f"{data.file}-{args.seed}{'-quick' if args.quick else ''}"
    config = TextRewardConfig(
        model=BUNDLE.path_of("reference_model"),
        epochs=data.epochs,
        batch_tokens=2048,
        learning_rate=args.learning_rate,
        max_prompt_tokens=READING.max_prompt_tokens,
        max_response_tokens=READING.max_response_tokens,
        max_steps=2 if args.quick else None,
        n_normalisation=64,
        held_out_fraction=0.02,
        device=args.device,
        seed=args.seed,
    )
    result = fit_text_reward(labels_from_records(learned), config, output=folder, progress=True)
    model = ScoredText(result.folder, READING, args.device)
    scorers: dict[str, Scores] = {
        "longer": _lengths,
        "bag of words": _bag_of_words(learned),
        "reward model": model.scores,
    }
    for asked, pairs in _questions(judged):
        shown = {name: pairs.accuracy(scores).as_dict() for name, scores in scorers.items()}
        people = _people(asked, judged)
        yield {
            "data": data.name,
            "asked": asked,
            "prompts": pairs.num_prompts,
            "pairs": len(pairs.better),
            **shown,
        } | ({"people agree": people.as_dict()} if people else {})


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Pairs that people decided: the better one, the worse one, and whose prompt it is."""

    better: list[Response]
    worse: list[Response]
    prompts: list[str]

    @property
    def num_prompts(self) -> int:
        return len(set(self.prompts))

    def accuracy(self, scores: Scores) -> Estimate:
        """Share of pairs ordered as people do, ties half, with an interval over prompts."""
        gaps = scores(self.better) - scores(self.worse)
        credits = 0.5 * (1 + np.sign(gaps))
        names = {name: place for place, name in enumerate(dict.fromkeys(self.prompts))}
        owner = np.array([names[name] for name in self.prompts])
        return ratio_interval(np.bincount(owner, weights=credits), np.bincount(owner))


def _questions(judged: Sequence[FeedbackRecord]) -> Iterator[tuple[str, _Pairs]]:
    """What is asked of the held-out judgements."""
    comparisons = [r for r in judged if isinstance(r, Comparison)]
    if comparisons:
        decided = _majorities(comparisons)
        yield "comparisons", _pairs_of([(r.chosen, r.rejected) for r in decided])
    scores = [r for r in judged if isinstance(r, Score) and r.span is None]
    if scores and not comparisons:
        yield "scores", _pairs_of(_pairs_of_scores(scores))
    parts = [r for r in judged if isinstance(r, Score) and r.span is not None]
    if parts:
        yield "parts", _pairs_of(_pairs_of_parts(parts))
    corrections = [r for r in judged if isinstance(r, Correction) and r.better is not None]
    changed = [
        (r.better, r.response) for r in corrections if r.better and r.better.text != r.response.text
    ]
    if changed:
        yield "corrections", _pairs_of(changed)


def _pairs_of(pairs: Sequence[tuple[Response, Response]]) -> _Pairs:
    better, worse = ([pair[side] for pair in pairs] for side in (0, 1))
    return _Pairs(better=better, worse=worse, prompts=[r.prompt.text or r.text for r in better])


def _majorities(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """One comparison for each pair of texts, by the majority of its votes; even ones left out."""
    votes: dict[tuple[str, str, str], list[Comparison]] = {}
    for record in comparisons:
        sides = sorted((record.chosen.text, record.rejected.text))
        votes.setdefault((record.prompt.text, *sides), []).append(record)
    found = []
    for said in votes.values():
        decided = [r for r in said if not r.is_tie]
        for record in decided:
            same = sum(r.chosen.text == record.chosen.text for r in decided)
            if 2 * same > len(decided):
                found.append(record)
                break
    return found


def _pairs_of_scores(scores: Sequence[Score]) -> list[tuple[Response, Response]]:
    """Two responses to one prompt that one person scored apart; without prompts, neighbours."""
    groups: dict[tuple[str, str], list[Score]] = {}
    for number, record in enumerate(scores):
        prompt = record.prompt.text or f"pair {number // 2}"
        groups.setdefault((prompt, record.annotator.id), []).append(record)
    return [
        (a.response, b.response) if a.value > b.value else (b.response, a.response)
        for group in groups.values()
        for i, a in enumerate(group)
        for b in group[i + 1 :]
        if a.value != b.value
    ]


def _pairs_of_parts(marked: Sequence[Score]) -> list[tuple[Response, Response]]:
    """An unmarked and a marked sentence of one response, each with all that stands before it."""
    by_response: dict[tuple[str, str], list[Score]] = {}
    for record in marked:
        by_response.setdefault((record.prompt.text, record.response.text), []).append(record)
    found = []
    for records in by_response.values():
        response = records[0].response
        spans = [record.span for record in records if record.span is not None]
        good, bad = [], []
        for sentence in _SENTENCE.finditer(response.text):
            start, end = sentence.span()
            inside = sum(max(0, min(end, s.end) - max(start, s.start)) for s in spans)
            read = replace(response, text=response.text[:end], finish_reason="length")
            (bad if 2 * inside > end - start else good).append(read)
        found += [(a, b) for a in good for b in bad]
    return found


def _people(asked: str, judged: Sequence[FeedbackRecord]) -> Estimate | None:
    """How often one person sides with another, where several judged the same."""
    if asked == "comparisons":
        votes = votes_of([r for r in judged if isinstance(r, Comparison)])
        has_several = ((~np.isnan(votes)).sum(axis=1) >= 2).any()
        return agreement(votes).majority if has_several else None
    scores = [r for r in judged if isinstance(r, Score) and r.span is None]
    by_item: dict[tuple[str, str], dict[str, float]] = {}
    for record in scores:
        item = (record.prompt.text, record.response.text)
        by_item.setdefault(item, {})[record.annotator.id] = record.value
    if asked != "scores" or max(map(len, by_item.values())) < 2:
        return None
    rows = [(i, r) for i, r in enumerate(scores)]
    names = {
        prompt: place for place, prompt in enumerate(dict.fromkeys(r.prompt.text for r in scores))
    }
    others = np.array(
        [
            _of_somebody_else(by_item[r.prompt.text, r.response.text], r.annotator.id)
            for _, r in rows
        ]
    )
    people = {
        name: place for place, name in enumerate(dict.fromkeys(r.annotator.id for r in scores))
    }
    groups = [(names[r.prompt.text], people[r.annotator.id]) for r in scores]
    return within_groups(others, np.array([r.value for r in scores]), groups)


def _of_somebody_else(values: dict[str, float], annotator: str) -> float:
    names = sorted(values)
    return values[names[(names.index(annotator) + 1) % len(names)]]


def _lengths(responses: Sequence[Response]) -> np.ndarray:
    return np.array([len(response.text) for response in responses], dtype=np.float64)


def _bag_of_words(learned: Sequence[FeedbackRecord]) -> Scores:
    pairs = [r for r in learned if isinstance(r, Comparison)]
    if pairs:
        sides = [
            word_features([record.responses[side].text for record in pairs]) for side in (0, 1)
        ]
        targets = np.array([0.0 if r.is_tie else 1.0 for r in pairs])
        weights = fit_linear(sides[0] - sides[1], targets)
    else:
        scores = [r for r in learned if isinstance(r, Score)]
        values = np.array([r.value for r in scores])
        features = word_features([r.response.text for r in scores])
        weights = fit_linear(features, values - values.mean(), ridge=3.0)
    return lambda responses: np.asarray(word_features([r.text for r in responses]) @ weights)


def _key(record: FeedbackRecord) -> str:
    return record.prompt.text or record.responses[0].text


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    shown = []
    for name in ("longer", "bag of words", "reward model", "people agree"):
        found = row.get(name)
        shown.append(str(Estimate(**found)) if found else "")
    return (row["data"], row["asked"], row["pairs"], *shown)


if __name__ == "__main__":
    run()
