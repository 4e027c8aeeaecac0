"""The benchmarks of reward models on tiny sizes: structure, what is kept, and correct shares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import feedback_kinds, human_data
from benchmarks.bag_of_words import fit_linear, word_features
from textgym.envs_registry.summarize import BUNDLE
from textgym.feedback.records import Comparison, Score
from textgym.feedback.responses import Annotator, PromptText, Response, Span

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_models = pytest.mark.skipif(not BUNDLE.folder.is_dir(), reason="the models are not built")


@pytest.mark.slow
@needs_models
def test_kinds_alone_and_together(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flags = ["--labels", "12", "--held-out", "8", "--seeds", "1", "--epochs", "0.1"]
    flags += ["--work", str(tmp_path / "work"), "--json", str(tmp_path / "out.json")]
    found = feedback_kinds.run(flags)
    out = capsys.readouterr().out
    assert "12 labels of each kind" in out and "together - " in out
    assert set(found["ratios"]) == {
        "clean: together minus best alone",
        "noisy: together minus best alone",
    }
    assert {(d["teacher"], d["kinds"]) for d in found["details"]} == {
        (teacher, name)
        for teacher in ("clean", "noisy")
        for name in ("score", "comparison", "language", "together")
    }
    assert json.loads((tmp_path / "out.json").read_text())["ratios"] == found["ratios"]
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()}
    assert len(before) == 8
    assert feedback_kinds.run(flags)["details"] == found["details"]  # nothing is measured twice
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()} == before


@needs_models
@pytest.mark.skipif(not DATA.is_dir(), reason="the public data is not there")
def test_people_of_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = tuple(d for d in human_data.DATA if d.file == "squality_human_eval")
    monkeypatch.setattr(human_data, "DATA", small)
    flags = [str(DATA), "--quick", "--work", str(tmp_path)]
    (row,) = human_data.run(flags)["rows"]
    assert "SQuALITY" in capsys.readouterr().out
    assert row["asked"] == "scores" and row["prompts"] == 22
    assert row["people agree"]["mean"] > row["longer"]["mean"] > 0.5


@pytest.mark.skipif(not DATA.is_dir(), reason="the public data is not there")
@pytest.mark.parametrize("data", human_data.DATA, ids=lambda data: data.file)
def test_every_file_becomes_records_by_mapping_alone(data: human_data.HumanData) -> None:
    records = data.records(DATA)
    counts = {
        "hh_rlhf_helpful_base": {"comparison": 1875},
        "hh_rlhf_helpful_online": {"comparison": 918},
        "hh_rlhf_helpful_rejection_sampled": {"comparison": 2192},
        "oasst_ranked_pairs": {"comparison": 618},
        "pandalm_human": {"comparison": 3 * 818},
        "vader_human_sentiment": {"score": 6000},
        "squality_human_eval": {"score": 810},
        "fgrlhf_qa_feedback": {"comparison": 6 * 399, "score": 1097 + 399, "correction": 399},
    }
    found: dict[str, int] = {}
    for record in records:
        found[record.kind] = found.get(record.kind, 0) + 1
    assert found == counts[data.file]
    assert len({record.record_id for record in records}) == len(records)
    if data.file == "pandalm_human":
        assert {r.annotator.id for r in records} == {f"pandalm_human-{i}" for i in (1, 2, 3)}


WHO = Annotator(id="x", kind="human")


def response(text: str, prompt: str = "p") -> Response:
    return Response(prompt=PromptText(text=prompt), text=text)


def test_majorities_and_pairs_by_hand() -> None:
    a, b = response("a"), response("bb")
    votes = [
        Comparison(annotator=WHO, chosen=x, rejected=y, is_tie=t)
        for x, y, t in ((a, b, False), (b, a, False), (a, b, False), (a, b, True))
    ]
    (best,) = human_data._majorities(votes)
    assert best.chosen is a
    assert human_data._majorities(votes[:2]) == []
    scored = [Score(annotator=WHO, response=r, value=v) for r, v in ((a, 0.2), (b, 0.9), (a, 0.2))]
    assert [x.text for x, _ in human_data._pairs_of_scores(scored)] == ["bb", "bb"]
    pairs = human_data._Pairs(better=[b, a, b], worse=[a, b, a], prompts=["p", "q", "q"])
    assert pairs.accuracy(human_data._lengths).mean == pytest.approx(2 / 3)


def test_marked_sentences_are_read_with_what_stands_before() -> None:
    text = "It is blue. It is green! Is it?"
    said = response(text)
    marked = [
        Score(annotator=WHO, response=said, value=0, span=Span(start=12, end=24, unit="character"))
    ]
    pairs = human_data._pairs_of_parts(marked)
    assert [(good.text, bad.text) for good, bad in pairs] == [
        ("It is blue.", "It is blue. It is green!"),
        (text, "It is blue. It is green!"),
    ]


def test_the_linear_model_learns_a_word() -> None:
    rng = np.random.default_rng(0)
    words = rng.choice(["dog", "house", "home", "later"], (200, 2))
    good, bad = (
        [f"{a} {x}" for a, x in zip(w, words.T[1], strict=True)]
        for w in (["nice"] * 200, words.T[0])
    )
    weights = fit_linear(word_features(good) - word_features(bad), np.ones(200))
    scores = word_features(["a nice dog", "a dog"]) @ weights
    assert scores[0] > scores[1]
