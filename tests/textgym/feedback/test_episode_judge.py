"""What teachers of a text environment know, on the posts of RLHF-Summarize-v0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from textgym.envs_registry.summarize_posts.gold import SummarizeGold, gold_terms
from textgym.envs_registry.summarize_posts.posts import SummarizePosts
from textgym.feedback import PromptText, Query, Response
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.feedback.teachers import TeacherConfig, build_teacher, score_of
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Episode, Prompt

POSTS = SummarizePosts(0, "train", 50)
JUDGE = EpisodeJudge(
    gold=SummarizeGold(), prompts=POSTS, tokenizer=SymbolTokenizer(["My", "sister", "<eos>"])
)


def prompt(index: int | None) -> PromptText:
    return PromptText(text="" if index is None else POSTS[index].text, prompt_id=index)


def response(index: int | None, text: str, **fields: object) -> Response:
    return Response(prompt=prompt(index), text=text, finish_reason="eos", **fields)  # type: ignore[arg-type]


def utility(index: int, text: str) -> float:
    return sum(gold_terms(POSTS[index].facts, text, "eos").values())


def test_it_knows_the_gold_of_any_response_to_its_prompts() -> None:
    text = POSTS[3].references[0]
    assert JUDGE.gold(response(3, text)) == pytest.approx(utility(3, text))
    assert JUDGE.gold(response(3, text[:20])) == pytest.approx(utility(3, text[:20]))
    assert JUDGE.gold(response(3, text, gold_score=0.25)) == 0.25  # what is known already
    assert JUDGE.gold(response(None, text)) is None
    assert JUDGE.gold(Response(prompt=PromptText(text="?", prompt_id=50), text="")) is None


def test_of_a_prompt_of_ones_own_it_knows_what_gold_needs_no_facts_for() -> None:
    class Length:
        name = "gold"

        def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
            return np.array([len(e.response) for e in episodes], dtype=np.float32)

    own, known = Prompt(prompt_id=-1, text="?"), POSTS[3]
    episodes = [
        Episode(prompt=p, prompt_ids=(), response_ids=(), response="abc", finish_reason="eos")
        for p in (own, known)
    ]
    unknown, found = JUDGE.gold_scores(episodes)
    assert JUDGE.needs_facts and unknown is None and found == pytest.approx(utility(3, "abc"))
    judge = EpisodeJudge(gold=Length(), prompts=POSTS, tokenizer=SymbolTokenizer(["My"], None))
    assert not judge.needs_facts and judge.gold_scores(episodes) == [3.0, 3.0]


def test_it_decodes_and_shows_the_best_reference() -> None:
    assert JUDGE.decode((0, 1, 2)) == "My sister"
    shown = JUDGE.demonstration(prompt(5))
    assert shown is not None and shown.text == POSTS[5].references[0]
    assert JUDGE.demonstration(prompt(None)) is None


def test_a_teacher_who_reads_the_beginning_misses_the_end() -> None:
    asked = []
    for index in range(50):
        text = POSTS[index].references[0]
        shown = (response(index, text), response(index, " ".join(text.split()[:8])))
        asked.append(Query(kind="comparison", prompt=prompt(index), responses=shown))
    knobs = "gold_mean=0.5,gold_std=0.3"
    whole = build_teacher(TeacherConfig.parse(knobs), JUDGE)
    hasty = build_teacher(
        TeacherConfig.parse(f"{knobs},view=first,view_size=8,view_unit=word"), JUDGE
    )
    preferred = [r.chosen for r in whole.answer(asked, round_index=0) if not r.is_tie]  # type: ignore[attr-defined]
    assert sum(c in [q.responses[0] for q in asked] for c in preferred) > 40
    # All that was seen of the two is the same.
    assert all(record.is_tie for record in hasty.answer(asked, round_index=0))  # type: ignore[attr-defined]


def test_words_name_facts_of_the_post() -> None:
    teacher = build_teacher(TeacherConfig(gold_mean=0.5, gold_std=0.3), JUDGE)
    (record,) = teacher.answer(
        [Query(kind="language", prompt=prompt(0), responses=(response(0, "bla bla"),))],
        round_index=0,
    )
    assert record.details["grade"] == 0
    assert record.details["findings"][0] == ["broken", ""]
    assert ["missing", "the outcome"] in record.details["findings"]
    assert "outcome" in record.words  # type: ignore[attr-defined]


def test_scores_are_in_the_units_of_the_config() -> None:
    teacher = build_teacher(TeacherConfig(gold_mean=0.5, gold_std=0.3), JUDGE)
    text = POSTS[0].references[0]
    (record,) = teacher.answer(
        [Query(kind="score", prompt=prompt(0), responses=(response(0, text),))], round_index=0
    )
    assert record.value == pytest.approx(score_of((utility(0, text) - 0.5) / 0.3))  # type: ignore[attr-defined]
