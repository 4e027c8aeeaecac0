"""`--held-out splits` of `textgym sft` and `textgym reward`, and line ends in `--env-kwarg`."""

from __future__ import annotations

import json
from pathlib import Path

from textgym.cli.environment import env_kwargs
from textgym.cli.main import main


def test_what_environments_hold_out_is_held_out(tmp_path: Path, tiny_model_folder: Path) -> None:
    rows = [
        {
            "chosen": f"\n\nHuman: {i}\n\nAssistant: {said}",
            "rejected": f"\n\nHuman: {i}\n\nAssistant: x",
        }
        for i in range(30)
        for said in ("nice", "rude")
    ]
    data = tmp_path / "hh.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for command in ("sft", "reward"):
        output = tmp_path / command
        flags = ["--model", str(tiny_model_folder), "--max-steps", "1", "--output", str(output)]
        assert main([command, str(data), "--held-out", "splits", *flags]) == 0
        results = json.loads((output / "results.json").read_text(encoding="utf-8"))
        # A tenth of 30 prompts each for validation and test, two rows per prompt.
        assert (results["n_train"], results["n_held_out"]) == (48, 12)


def test_line_ends_as_a_shell_passes_them() -> None:
    given = env_kwargs("RLHF-Summarize-v0", [r"prompt_template={prompt}\n\nTL;DR:", r"stop=\n"])
    assert given == {"prompt_template": "{prompt}\n\nTL;DR:", "stop": "\n"}
