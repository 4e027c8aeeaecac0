"""A whole study in miniature, with the bundled models: what is measured, resumed, drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.agents.overoptimization import study as study_module
from textgym.agents.overoptimization.figures import draw_study
from textgym.agents.overoptimization.plan import StudyConfig, StudyFolder
from textgym.agents.overoptimization.results import alarm_table, as_plain, curves, table
from textgym.agents.overoptimization.samples import load_episodes, save_episodes
from textgym.agents.overoptimization.study import num_jobs, run_study

CONFIG = StudyConfig(
    env_id="RLHF-Hackable-v0",
    env_kwargs={"device": "cpu", "max_new_tokens": 16},
    data_sizes=(8, 16),
    noises=(0.0,),
    kl_coefs=(0.0,),
    n_prompts=8,
    n_samples=8,
    n_steps=100,
    n_envs=4,
    n_ensemble=2,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, list[str]]:
    names: list[str] = []
    folder = run_study(CONFIG, tmp_path_factory.mktemp("study"), report=names.append)
    return folder, names


def test_measures_every_cell_once(done: tuple[StudyFolder, list[str]]) -> None:
    folder, names = done
    assert len(names) == len(set(names)) == num_jobs(CONFIG) == 8
    files = {file.stem for file in (folder.path / "cells").iterdir()}
    assert files == {
        f"{kind}-n{size}-noise0-seed0{coef}"
        for kind, coef in (("reward", ""), ("best-of-n", ""), ("ppo", "-kl0"))
        for size in (8, 16)
    }


def test_best_of_n_from_the_samples(done: tuple[StudyFolder, list[str]]) -> None:
    folder, _ = done
    cell = CONFIG.cells("best-of-n")[0]
    rows = folder.load([cell])[cell]["rows"]
    assert [row["n"] for row in rows] == [1, 2, 4, 8]
    episodes = load_episodes(folder.evaluation)
    gold = np.array([e.gold_score for e in episodes])
    assert rows[0]["gold"]["mean"] == pytest.approx(gold.mean()) and rows[0]["kl"] == 0
    # The best of 8 is one of the 8; the proxy rises with n by construction.
    assert rows[0]["proxy"]["mean"] < rows[1]["proxy"]["mean"] < rows[2]["proxy"]["mean"]
    assert rows[3]["gold"]["mean"] <= gold.reshape(8, 8).max(axis=1).mean() + 1e-9


def test_ppo_starts_at_the_reference(done: tuple[StudyFolder, list[str]]) -> None:
    folder, _ = done
    cell = CONFIG.cells("ppo")[0]
    result = folder.load([cell])[cell]
    first = result["rows"][0]
    assert first["kl"] == pytest.approx(0, abs=1e-3)
    assert set(first["alarms"]) == {"length", "repetition", "ref_perplexity", "disagreement"}
    assert result["thresholds"]["length"][0] is None


def test_proxy_is_the_cells_own_reward_model(done: tuple[StudyFolder, list[str]]) -> None:
    folder, _ = done
    found = folder.load(CONFIG.cells("best-of-n"))
    tops = [result["rows"][-1]["proxy"]["mean"] for result in found.values()]
    assert tops[0] != tops[1]
    rewards = folder.load(CONFIG.cells("reward"))
    assert all(result["label_accuracy"] > 0.5 for result in rewards.values())


def test_results_are_counted_from_the_reference(done: tuple[StudyFolder, list[str]]) -> None:
    folder, _ = done
    found = curves(CONFIG, folder)
    best = [curve for curve in found if curve.cell.kind == "best-of-n"]
    assert len(found) == 4 and len(best) == 2
    assert all(c.d[0] == 0 and c.gold.means[0] == 0 == c.proxy.means[0] for c in best)
    assert all(c.gold.means[c.peak] == max(c.gold.means) for c in best)
    assert len(table(found).splitlines()) == 6
    assert alarm_table(found).startswith("| labels")
    assert as_plain(found)[0]["fits"]["gold"][0]["form"] == "quadratic"


def test_draws(done: tuple[StudyFolder, list[str]], tmp_path: Path) -> None:
    folder, _ = done
    files = draw_study(CONFIG, folder, curves(CONFIG, folder), tmp_path)
    assert [file.name for file in files] == ["curves.png", "gold.png", "alarms.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_goes_on_where_it_stopped(
    done: tuple[StudyFolder, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = done
    measured: list[str] = []

    def measure(config: Any, folder: Any, cell: Any) -> dict[str, Any]:
        measured.append(cell.name)
        return {}

    monkeypatch.setattr(study_module, "measure", measure)
    larger = replace(CONFIG, kl_coefs=(0.0, 0.5))
    run_study(larger, folder.path)
    assert sorted(measured) == ["ppo-n16-noise0-seed0-kl0.5", "ppo-n8-noise0-seed0-kl0.5"]
    for name in measured:
        (folder.path / "cells" / f"{name}.json").unlink()


def test_refuses_the_folder_of_another_study(done: tuple[StudyFolder, list[str]]) -> None:
    folder, _ = done
    with pytest.raises(ValueError, match="holds a study with n_steps=100, got 200"):
        run_study(replace(CONFIG, n_steps=200), folder.path)


def test_episodes_come_back_as_they_were(
    done: tuple[StudyFolder, list[str]], tmp_path: Path
) -> None:
    episodes = load_episodes(done[0].pool(0))
    save_episodes(tmp_path / "again.jsonl.gz", episodes)
    assert load_episodes(tmp_path / "again.jsonl.gz") == episodes
    assert len({e.prompt.prompt_id for e in episodes}) * 3 == len(episodes)
    assert all(len(e.ref_log_probs) == len(e.response_ids) for e in episodes)


def test_no_gold_no_study(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Probe-ExactKL-v0 has no gold utility"):
        run_study(replace(CONFIG, env_id="Probe-ExactKL-v0", env_kwargs={}), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_sizes": ()}, "data_sizes must each be at least 8"),
        ({"data_sizes": (8, 8)}, "must differ"),
        ({"noises": (1.5,)}, r"lie in \[0, 1\]"),
        ({"kl_coefs": (-0.1,)}, "finite and >= 0"),
        ({"n_samples": 1}, "n_samples must be at least 2, got 1"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_workers_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run_study(CONFIG, tmp_path, workers=0)
