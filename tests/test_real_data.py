"""The commands of examples/real_data.sh, in their order, on a few rows and in tiny sizes."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from textgym.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SCRIPT = (ROOT / "examples" / "real_data.sh").read_text(encoding="utf-8")
PAGE = ROOT / "docs" / "real-data.md"
FILES = {
    "HH": "hh_rlhf_helpful_base.train.jsonl.gz",
    "PAPERS": "scitldr_a.train.jsonl.gz",
}
# What makes each step take seconds; a later flag replaces an earlier one.
SMALL_PPO = (
    "--steps 32 --n-envs 4 --n-steps 8 --n-epochs 1 --batch-size 32 --device cpu --quiet "
    "--env-kwarg max_prompt_tokens=40 --env-kwarg max_new_tokens=6"
)
SMALL = {
    "sft": "--max-steps 2 --batch-tokens 600 --device cpu",
    "reward": "--max-steps 2 --batch-tokens 600 --n-normalisation 8 --device cpu",
    "train": SMALL_PPO,
    "evaluate": "--n-prompts 4 --num-envs 4 --samples 1 --device cpu",
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public data is not there")


def commands(road: str) -> list[tuple[str, list[str]]]:
    """Return (result, command) of each step of a function of the script."""
    body = re.search(rf"^{road}\(\) {{.*?\n(.*?)^}}", SCRIPT, re.DOTALL | re.MULTILINE)
    assert body, road
    lines = body[1].replace("\\\n", " ").splitlines()
    steps = [shlex.split(line) for line in lines if line.strip().startswith("step ")]
    return [(result, command) for _, result, *command in steps]


def run_road(road: str, folder: Path, values: dict[str, str]) -> None:
    """Run every step of a road with the script's variables replaced."""
    for result, command in commands(road):
        for name, value in values.items():
            result = result.replace(f"${name}", value)
            command = [part.replace(f"${name}", value) for part in command]
        command = [str(next(_matches(part), part)) if "*" in part else part for part in command]
        if command[0] == "python":
            run_example(ROOT / command[1], [*command[2:], "--width", "32", "--layers", "1"])
        else:
            small = shlex.split(SMALL[command[1]])
            if command[1] == "train" and road == "papers":
                small += ["--env-kwarg", f"reference_model={folder}/scratch/sft/model"]
            if any("/assets/" in part for part in command):
                small += ["--model", f"{folder}/scratch/sft/model"]
            if any("scratch:" in part for part in command):
                small += ["--model", "scratch:llama,layers=1,width=32,heads=2"]
                small += ["--tokenizer", "train:400"]
            assert main([*command[1:], *small]) == 0, command
        assert list(_matches(result)), f"{command} made no {result}"


def run_example(path: Path, arguments: list[str]) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([*arguments, "--ids", "400"])


def _matches(pattern: str):
    path = Path(pattern)
    fixed = [part for part in path.parts if "*" not in part]
    where = Path(*path.parts[: path.parts.index("*")]) if "*" in path.parts else path.parent
    yield from (
        where.glob(str(path.relative_to(where)))
        if len(fixed) < len(path.parts)
        else ([path] if path.exists() else [])
    )


@pytest.fixture
def values(tmp_path: Path) -> dict[str, str]:
    """Return the script's variables, pointed at the first rows of the real files."""
    found = {"RUNS": str(tmp_path)}
    for name, file in FILES.items():
        assert f"{name}=../shared/data/{file}" in SCRIPT
        with gzip.open(DATA / file, "rt", encoding="utf-8") as stream:
            rows = [line for line, _ in zip(stream, range(40), strict=False)]
        found[name] = str(tmp_path / file)
        with gzip.open(found[name], "wt", encoding="utf-8") as stream:
            stream.writelines(rows)
    return found


def test_from_scratch_and_on_papers(tmp_path: Path, values: dict[str, str]) -> None:
    run_road("scratch", tmp_path, values)
    run_road("papers", tmp_path, values)
    run_road("tuned_papers", tmp_path, values)
    for road in ("scratch", "papers", "tuned-papers"):
        numbers = json.loads((tmp_path / road / "evaluation.json").read_text(encoding="utf-8"))
        assert {"score", "kl", "rouge_l", "win_rate"} <= set(numbers["after"]["metrics"])
        assert "gold_score" not in numbers["after"]["metrics"]
    measured = json.loads((tmp_path / "scratch/reward/results.json").read_text(encoding="utf-8"))
    assert measured["n_train"] + measured["n_held_out"] == 40
    assert {"mean", "low", "high"} <= set(measured["held_out"]["longer_accuracy"])


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_from_folders_of_random_weights(tmp_path: Path, values: dict[str, str], kind: str) -> None:
    run_road("random_weights", tmp_path, {**values, "kind": kind})
    numbers = json.loads((tmp_path / kind / "evaluation.json").read_text(encoding="utf-8"))
    prompt = numbers["samples"][0]["prompt"]
    if kind == "qwen2":
        assert prompt.startswith("<|im_start|>user\n")
        assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    else:
        assert prompt.endswith("\n\nAssistant:")


def test_the_page_shows_the_scripts_commands() -> None:
    shown = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text = " ".join("\n".join(shown).replace("\\\n", " ").split())
    for road in ("scratch", "random_weights", "papers", "tuned_papers"):
        for _, command in commands(road):
            wanted = " ".join(command).replace("$kind", "qwen2").replace("$RUNS", "runs/real-data")
            for name, file in FILES.items():
                wanted = wanted.replace(f"${name}", f"../shared/data/{file}")
            assert wanted in text.replace('"', ""), wanted
