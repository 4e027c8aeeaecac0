"""`textgym new-env` writes an environment that works as written, and its test passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from textgym.cli.main import main
from textgym.cli.new_env import Names, names_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_own_test_passes_and_agents_train_on_it(folder: Path) -> None:
    assert main(["new-env", "My-NewTask"]) == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout[-3000:]
    sizes = ["--steps", "64", "--n-envs", "8", "--eval-prompts", "4", "--quiet"]
    assert main(["train", "my_new_task:My-NewTask-v0", *sizes]) == 0
    del gym.registry["My-NewTask-v0"]


def test_its_own_test_fails_where_the_task_is_broken(folder: Path) -> None:
    assert main(["new-env", "My-NewTask"]) == 0
    file = folder / "my_new_task.py"
    # Item i is no longer a function of its index alone.
    text = file.read_text("utf-8").replace(
        "(self.data_seed, SPLITS.index(self.split), prompt_id)", ""
    )
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-k", "pure", "test_my_new_task.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "1 failed" in done.stdout


def test_the_headings_are_those_of_every_environment(folder: Path) -> None:
    main(["new-env", "My-NewTask"])
    docstring = (folder / "my_new_task.py").read_text("utf-8").split('"""')[1]
    headings = [
        line[:-1] for line in docstring.splitlines() if line[:1].strip() and line[-1] == ":"
    ]
    assert docstring.startswith("My-NewTask-v0: ")
    assert headings == [
        *("Description", "Observation", "Action", "Reward", "Episode end", "Info", "Arguments"),
        *("Data", "Version history"),
    ]


def test_in_our_own_registry_it_gives_the_row_of_the_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "envs_registry").mkdir()
    (folder / "tests" / "envs_registry").mkdir(parents=True)
    (folder / "envs_registry" / "specs.py").touch()
    assert main(["new-env", "RLHF-Recipes-v1", "--output", "envs_registry"]) == 0
    text = (folder / "envs_registry" / "recipes.py").read_text("utf-8")
    assert "gym.register" not in text and "class RecipesEnv(TokenEnv)" in text
    test = (folder / "tests" / "envs_registry" / "test_recipes.py").read_text("utf-8")
    assert "import textgym.envs_registry.recipes as environment" in test
    row = capsys.readouterr().out
    assert 'entry_point="textgym.envs_registry.recipes:RecipesEnv"' in row


def test_names() -> None:
    assert names_of("MyTask") == Names("MyTask-v0", "my_task", "MyTask")
    assert names_of("RLHF-MyTask-Short-v2") == Names(
        "RLHF-MyTask-Short-v2", "my_task_short", "MyTaskShort"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["my_task"], "expected a name such as MyTask, .*, got 'my_task'"),
        (["MyTask-v0-Short"], "got 'MyTask-v0-Short'"),
        (["RLHF-Summarize"], "'RLHF-Summarize-v0' exists already"),
        (["MyTask", "--output", "nowhere"], "--output must be a folder, got 'nowhere'"),
    ],
)
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["new-env", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(folder.iterdir()) == []


def test_nothing_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my_task.py").write_text("mine", encoding="utf-8")
    assert main(["new-env", "MyTask"]) == 2
    assert "never written over" in capsys.readouterr().err
    assert (folder / "my_task.py").read_text("utf-8") == "mine"
    assert not (folder / "test_my_task.py").exists()
