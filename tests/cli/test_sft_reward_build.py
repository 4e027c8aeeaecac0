"""The commands `textgym sft`, `textgym reward` and `textgym build` from the outside."""

import json
import shutil

import pytest

from textgym.cli.main import main
from textgym.cli.sft import chat_renderer
from textgym.tokenizer import load_tokenizer

FRESH = "scratch:llama,layers=1,width=32,heads=2,positions=128"


@pytest.fixture
def dialogues(tmp_path):
    start = "\n\nHuman: how are you {}\n\nAssistant:"
    rows = [
        {"chosen": start.format(i) + " very nice", "rejected": start.format(i) + " rude"}
        for i in range(30)
    ]
    path = tmp_path / "hh.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_sft_then_reward(tmp_path, dialogues, capsys):
    run = str(tmp_path / "sft")
    flags = ["--model", FRESH, "--tokenizer", "train:300", "--max-steps", "3", "--output", run]
    assert main(["sft", str(dialogues), *flags]) == 0
    out = capsys.readouterr().out
    assert "perplexity" in out
    assert f"model: {tmp_path / 'sft' / 'model'}" in out
    model = str(tmp_path / "sft" / "model")
    flags = ["--model", model, "--reference-model", model, "--n-normalisation", "8"]
    flags += ["--max-steps", "3", "--output", str(tmp_path / "rm"), "--max-response-tokens", "6"]
    assert main(["reward", str(dialogues), *flags]) == 0
    out = capsys.readouterr().out
    assert "held-out accuracy" in out
    assert "1.000" in out.split('"pick the longer"')[1].split("\n")[0]
    assert (tmp_path / "rm" / "model" / "textgym.json").is_file()


def test_messages_are_rendered_with_the_tokenizers_own_template(tmp_path, tiny_model_folder):
    folder = tmp_path / "chat"
    shutil.copytree(tiny_model_folder, folder)
    hf = load_tokenizer(folder).hf
    hf.chat_template = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}>"
    hf.save_pretrained(folder)
    render = chat_renderer(str(folder))
    assert render is not None
    assert render([{"role": "user", "content": "hi"}]) == "[hi]>"
    assert chat_renderer(str(tiny_model_folder)) is None
    assert chat_renderer("train:300") is None
    assert chat_renderer(FRESH) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sft", "nothing.jsonl", "--tokenizer", "train:300"], "nothing.jsonl"),
        (["reward", "nothing.jsonl", "--model", "nowhere/at/all"], "nowhere/at/all"),
        (["build", "RLHF-Sumarize-v0"], "did you mean 'RLHF-Summarize-v0'"),
        (["sft", "x.jsonl", "--loss-on", "prompt"], "loss_on must be"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["sft", "reward", "build"])
def test_help_lists_the_flags_of_the_config(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "examples:" in out.lower()
    assert "--seed" in out
