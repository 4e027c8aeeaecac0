"""`textgym reward evaluate`: three sources, table, JSON and figure, errors in one line."""

import json

import pytest

from textgym.cli.main import main
from textgym.feedback import Annotator, Comparison, PromptText, Response
from textgym.feedback.record_json import write_jsonl

SMALL = ["--device", "cpu", "--max-prompt-tokens", "32", "--max-response-tokens", "16"]


def evaluate(*arguments):
    return main(["reward", "evaluate", *map(str, arguments), *SMALL])


@pytest.fixture
def data(tmp_path):
    rows = [
        {
            "q": "a dog",
            "a": "home " * (1 + i % 4),
            "b": "later",
            "label": i % 3,
            "kind": f"k{i % 2}",
        }
        for i in range(24)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


COLUMNS = "prompt=q,first=a,second=b,label=label,subset=kind"


def test_two_models_on_a_file(tmp_path, data, make_reward_folder, capsys):
    models = [make_reward_folder(), make_reward_folder(architecture="gpt2")]
    flags = ["--data", data, "--columns", COLUMNS, "--keep-ties", "--output", tmp_path / "out"]
    assert evaluate(*models, *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line[:40].strip(): line for line in lines}
    for name in ("accuracy", '"pick the longer"', "log loss", "temperature that fits"):
        assert any(key.startswith(name) for key in table), name
    assert sum(line.startswith("subset 'k") for line in lines) == 2
    (judged_equal,) = (line for line in lines if line.startswith("judged equal"))
    assert judged_equal.split()[2:] == ["8", "8"]
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert [one["model"] for one in found] == [str(model) for model in models]
    assert found[0]["pairs"]["measures"]["accuracy"]["count"] == 16
    assert found[0]["pairs"]["measures"] != found[1]["pairs"]["measures"]
    assert (tmp_path / "out" / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_records_of_two_annotators_show_their_ceiling(tmp_path, make_reward_folder, capsys):
    records = []
    for i in range(12):
        prompt = PromptText(text=f"a dog {i}")
        a, b = (Response(prompt=prompt, text=t) for t in (" home", " later"))
        for name, sides in (("x", (a, b)), ("y", (a, b) if i % 4 else (b, a))):
            who = Annotator(id=name, kind="human")
            records.append(Comparison(annotator=who, chosen=sides[0], rejected=sides[1]))
    file = tmp_path / "records.jsonl"
    write_jsonl(file, records)
    assert evaluate(make_reward_folder(), "--records", file, "--output", tmp_path / "out") == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if "two annotators agree" in line)
    assert "0.750" in line


def test_samples_of_an_environment(tmp_path, capsys):
    bundle = pytest.importorskip("textgym.envs_registry.summarize").BUNDLE
    if not bundle.folder.is_dir():
        pytest.skip("the models of RLHF-Summarize-v0 are not built")
    model = bundle.folder / "reward_model"
    flags = ["--env", "RLHF-Summarize-v0", "--env-kwarg", "max_new_tokens=12"]
    flags += ["--n-prompts", "12", "--samples", "3", "--teacher", "beta=2"]
    assert evaluate(model, *flags, "--output", tmp_path / "out") == 0
    out = capsys.readouterr().out
    for name in ("correlation with gold", "gold of the best of 3", "ceiling: teacher with itself"):
        assert name in out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))[0]
    assert found["samples"]["best_of_n"]["n"] == [1, 2, 3]
    assert found["samples"]["correlation"]["count"] == 12


def test_the_command_of_one_word_still_trains(capsys):
    assert main(["reward", "nothing.jsonl", "--model", "nowhere/at/all"]) == 2
    assert "nowhere/at/all" in capsys.readouterr().err
    assert main(["reward", "--help"]) == 0
    assert "Train a reward model" in capsys.readouterr().out


def test_mistakes_are_one_line(tmp_path, data, make_reward_folder, capsys):
    folder = make_reward_folder()
    for flags, message in (
        ([], "expected one of --data, --records and --env, got []"),
        (["--data", data, "--env", "RLHF-Summarize-v0"], "got ['data', 'env']"),
        (["--records", tmp_path / "none.db"], "none.db"),
        (["--env", "RLHF-Summarize-v0", "--samples", "1"], "--samples must be at least 2"),
        (["--data", data, "--columns", "prompt=x,chosen=a,rejected=b"], "no column 'x'"),
    ):
        assert evaluate(folder, *flags, "--output", tmp_path / "out") == 2
        err = capsys.readouterr().err
        assert message in err and "Traceback" not in err
