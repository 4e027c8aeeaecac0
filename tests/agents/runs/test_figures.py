"""Figures drawn from a progress table."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from textgym.agents.runs.figures import draw_figures, read_progress

PROGRESS = """time/total_timesteps,rollout/score,rollout/kl,rollout/response_tokens
3000,-0.1,0.0,20.5
6000,0.4,,21.0
9000,0.9,3.1,22.0
"""
WITH_GOLD = "time/total_timesteps,rollout/gold_score\n3000,0.5\n6000,0.6\n"


def test_draws_what_was_logged(tmp_path):
    progress = tmp_path / "progress.csv"
    progress.write_text(PROGRESS)
    files = draw_figures([progress], tmp_path / "figures")
    assert [file.name for file in files] == ["overview.png", "score.png", "kl.png", "length.png"]
    for file in files:
        pixels = imread(file)
        assert min(pixels.shape[:2]) > 200
        assert np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0).shape[0] > 10


def test_gold_has_a_figure_where_the_task_has_gold(tmp_path):
    (tmp_path / "progress.csv").write_text(WITH_GOLD)
    files = draw_figures([tmp_path / "progress.csv"], tmp_path / "figures")
    assert [file.name for file in files] == ["overview.png", "gold.png"]


def test_reads_the_table_with_its_gaps(tmp_path):
    (tmp_path / "progress.csv").write_text(PROGRESS)
    columns = read_progress([tmp_path / "progress.csv"])
    assert columns["rollout/kl"] == [0.0, None, 3.1]
    assert columns["time/total_timesteps"] == [3000.0, 6000.0, 9000.0]


def test_a_run_that_went_on_is_one_line(tmp_path):
    (tmp_path / "progress.csv").write_text(PROGRESS)
    (tmp_path / "progress-2.csv").write_text("rollout/kl,time/total_timesteps\n4.0,12000\n")
    columns = read_progress([tmp_path / "progress.csv", tmp_path / "progress-2.csv"])
    assert columns["time/total_timesteps"] == [3000.0, 6000.0, 9000.0, 12000.0]
    assert columns["rollout/kl"] == [0.0, None, 3.1, 4.0]
    assert columns["rollout/score"][-1] is None


@pytest.mark.parametrize("texts", [[], [""], ["time/total_timesteps\n1\n"]])
def test_nothing_logged_draws_nothing(tmp_path, texts):
    files = [tmp_path / f"progress-{number}.csv" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    assert draw_figures(files, tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()
