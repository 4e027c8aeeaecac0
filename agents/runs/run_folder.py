"""A folder that holds one training run: what was asked for, on what, and everything that came out.

```
runs/<env>-<algo>-<seed>-<time>/
    config.json       the command's settings, complete
    versions.json     packages, Python, platform, git commit
    progress.csv      one row per rollout (and events.out.tfevents.* for TensorBoard)
    samples.jsonl     sample responses along the way
    feedback.db       the answers of a teacher, where one is asked
    checkpoints/      <steps>/ folders, the newest few
    final/            the trained agent
    figures/          *.png
    result.json       the table before and after, and the sample pairs
```
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import Logger, make_output_format

from textgym.agents.storage.checkpoint import is_saved_folder, load_json, save_json

PACKAGES = (
    "textgym",
    "torch",
    "transformers",
    "gymnasium",
    "stable-baselines3",
    "numpy",
    "tokenizers",
    "sentencepiece",
    "safetensors",
)


class RunFolder:
    """Paths and small files of one run.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        """Point at a folder; nothing is made or read."""
        self.path = Path(path)

    @classmethod
    def create(
        cls, root: str | Path, env_id: str, algo: str, seed: int, now: datetime | None = None
    ) -> RunFolder:
        """Make `root/<env>-<algo>-<seed>-<time>`, with a number behind it if that is taken."""
        stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
        # "namespace/ID" and "module:ID" are no file names everywhere.
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', env_id)}-{algo}-{seed}-{stamp}"
        Path(root).mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = Path(root) / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()
                return cls(path)
            except FileExistsError:
                number += 1

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, one sub-folder per checkpoint, named by its steps."""
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        """Folder of the agent as it was when training ended."""
        return self.path / "final"

    @property
    def answers(self) -> Path:
        """Store of the answers of a teacher, where one is asked."""
        return self.path / "feedback.db"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.path / "figures"

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.json and, since they explain each other, versions.json."""
        save_json(self.path / "config.json", dict(config))
        save_json(self.path / "versions.json", versions())

    def read_config(self) -> dict[str, Any]:
        """Read config.json.

        Raises:
            FileNotFoundError: The folder is not a run.
        """
        file = self.path / "config.json"
        if not file.is_file():
            raise FileNotFoundError(
                f"expected a run folder, got {str(self.path)!r} without config.json"
            )
        return load_json(file)

    def logger(self) -> Logger:
        """Return SB3's logger into a progress table and TensorBoard.

        A run that goes on gets a table of its own, progress-2.csv and so on: SB3 would overwrite.
        """
        number = len(self.progress_files()) + 1
        suffix = "" if number == 1 else f"-{number}"
        table = make_output_format("csv", str(self.path), suffix)
        return Logger(str(self.path), [table, make_output_format("tensorboard", str(self.path))])

    def progress_files(self) -> list[Path]:
        """Tables of the logged metrics, in the order in which they were written."""
        numbered = ((f"-{n}" if n > 1 else "") for n in itertools.count(1))
        files = (self.path / f"progress{suffix}.csv" for suffix in numbered)
        return list(itertools.takewhile(Path.is_file, files))

    def add_samples(self, samples: list[dict[str, Any]]) -> None:
        """Append lines to samples.jsonl."""
        with (self.path / "samples.jsonl").open("a", encoding="utf-8") as stream:
            for sample in samples:
                stream.write(json.dumps(sample, ensure_ascii=False) + "\n")

    def checkpoint_folders(self) -> list[Path]:
        """Saved checkpoints, oldest first."""
        if not self.checkpoints.is_dir():
            return []
        names = {folder.name.removesuffix(".old") for folder in self.checkpoints.iterdir()}
        numbers = sorted((name for name in names if name.isdigit()), key=int)
        return [self.checkpoints / n for n in numbers if is_saved_folder(self.checkpoints / n)]

    def keep_newest_checkpoints(self, count: int) -> None:
        """Remove all checkpoints but the newest `count`."""
        for folder in self.checkpoint_folders()[:-count]:
            shutil.rmtree(folder, ignore_errors=True)

    def newest_agent(self) -> Path:
        """Return the final agent, or the newest checkpoint of a run that was cut off.

        Raises:
            FileNotFoundError: The run saved neither.
        """
        if is_saved_folder(self.final):
            return self.final
        saved = self.checkpoint_folders()
        if not saved:
            raise FileNotFoundError(f"the run {str(self.path)!r} has saved no agent yet")
        return saved[-1]


def is_run_folder(path: str | Path) -> bool:
    """Whether `path` is a folder that `RunFolder.create` and `write_config` made."""
    return (Path(path) / "config.json").is_file() and (Path(path) / "versions.json").is_file()


def versions() -> dict[str, Any]:
    """Return the versions of the packages, of Python, the platform and the git commit."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "git_commit": _git_commit(Path(__file__).resolve()),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit(file: Path) -> str | None:
    """Commit of the checkout that tracks `file`, with "+" behind it if files were changed."""
    git = shutil.which("git")
    if git is None or _git(git, file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None  # an installed copy; a repository around it would not be ours
    commit = _git(git, file.parent, "rev-parse", "HEAD")
    changed = _git(git, file.parent, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit


def _git(git: str, folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
