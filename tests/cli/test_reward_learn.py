"""`textgym reward learn`: records of all kinds in, a reward model out, each term reported."""

import json

import pytest

from textgym.cli.main import main
from textgym.feedback import Annotator, Comparison, LanguageFeedback, PromptText, Response, Score
from textgym.feedback.store import FeedbackStore
from textgym.rewards.learned_ensemble import is_ensemble

WHO = Annotator(id="t", kind="simulated")


@pytest.fixture
def store(tmp_path):
    records = []
    for i in range(16):
        prompt = PromptText(text=f"my friend {i}:")
        good, bad = (Response(prompt=prompt, text=t) for t in (" nice dog", " rude dog"))
        records += [
            Comparison(annotator=WHO, chosen=good, rejected=bad),
            Score(annotator=WHO, response=good, value=0.9),
            Score(annotator=WHO, response=bad, value=0.3),
            LanguageFeedback(annotator=WHO, response=bad, words="Weak, it misses the point."),
        ]
    with FeedbackStore(tmp_path / "feedback.db") as opened:
        opened.append(records)
    return tmp_path / "feedback.db"


def learn(*arguments):
    return main(["reward", "learn", *map(str, arguments)])


def test_all_kinds_in_an_ensemble_out(tmp_path, store, tiny_model_folder, capsys):
    flags = ["--model", tiny_model_folder, "--max-steps", "3", "--batch-tokens", "256"]
    flags += ["--members", "2", "--rule", "minimum", "--n-normalisation", "8", "--device", "cpu"]
    assert learn(store, *flags, "--output", tmp_path / "run") == 0
    out = capsys.readouterr().out
    for text in ("score          28 labels", "comparison     14 labels", "language, 2 held out"):
        assert text in out
    assert "member 1: score a=" in out
    assert is_ensemble(tmp_path / "run" / "model")
    numbers = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert set(numbers["held_out"]) == {"score", "comparison", "language"}


def test_a_critic_of_ones_own_and_other_held_out_records(
    tmp_path, store, tiny_model_folder, capsys
):
    rated = tmp_path / "rated.jsonl"
    rows = [{"note": "Weak, it misses the point.", "mark": 0.1}, {"note": "Lovely", "mark": 0.9}]
    rated.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    flags = ["--model", tiny_model_folder, "--max-steps", "1", "--device", "cpu"]
    flags += ["--rated", rated, "--text-column", "note", "--rating-column", "mark"]
    flags += ["--held-out", store, "--n-normalisation", "8", "--output", tmp_path / "run"]
    assert learn(store, *flags) == 0
    assert "score          32 labels" in capsys.readouterr().out


def test_mistakes_are_one_line(tmp_path, store, tiny_model_folder, capsys):
    model = ["--model", tiny_model_folder, "--output", tmp_path / "run"]
    empty, ties = tmp_path / "empty.db", tmp_path / "ties.db"
    FeedbackStore(empty).close()
    prompt = PromptText(text="a dog:")
    pair = [Response(prompt=prompt, text=text) for text in (" nice", " rude")]
    with FeedbackStore(ties) as opened:
        opened.append([Comparison(annotator=WHO, chosen=pair[0], rejected=pair[1], is_tie=True)])
    nothing = ["--score-weight", "0", "--comparison-weight", "0", "--language-weight", "0"]
    for arguments, message in (
        ([tmp_path / "none.db", *model], "none.db"),
        ([empty, *model], "expected at least one label to learn a reward from, got 0"),
        ([ties, *model], "got a single class: every comparison is a tie"),
        ([store, *model, "--members", "0"], "members must be at least 1"),
        ([store, *model, *nothing], "at least one of the loss weights"),
        ([store, "--model", "nowhere/at/all"], "nowhere/at/all"),
    ):
        assert learn(*arguments) == 2
        err = capsys.readouterr().err
        assert message in err and "Traceback" not in err
