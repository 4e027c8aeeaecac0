"""The progress bar, and ends that come early."""

from __future__ import annotations

import re
import signal
import threading
from types import SimpleNamespace

import pytest
from stable_baselines3.common.logger import Logger

from textgym.agents.runs.run_recording import EarlyStop, ProgressBar, interrupts_noted


def attach(callback, num_timesteps=0):
    callback.model = SimpleNamespace(logger=Logger(None, []))
    callback.num_timesteps = num_timesteps
    return callback


def test_the_bar_shows_progress_and_the_latest_numbers(capsys):
    bar = attach(ProgressBar(200))
    bar._on_training_start()
    bar.logger.record("rollout/score", 0.5)
    bar.logger.record("rollout/kl", 1.25)
    bar._on_rollout_end()
    bar.num_timesteps = 100
    bar._on_step()
    assert bar.bar.n == 100
    bar.num_timesteps = 260  # the last rollout goes over the budget
    bar._on_step()
    assert bar.bar.n == 200
    bar._on_training_end()
    shown = capsys.readouterr().err
    assert "score=0.50, KL=1.25" in shown
    assert "gold" not in shown
    assert "100%" in shown
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown)  # the time gone and the time left


def test_a_run_bounded_by_time_shows_seconds(capsys):
    bar = attach(ProgressBar(10**12, seconds=60.0))
    bar._on_training_start()
    bar._on_step()
    bar._on_training_end()
    assert "/60 s" in capsys.readouterr().err


def test_time_ends_a_run_between_rollouts():
    stop = attach(EarlyStop(0.0, lambda: False))
    stop._on_training_start()
    assert stop._on_step()
    stop._on_rollout_start()
    assert not stop._on_step()
    assert stop.reason == "time"


def test_a_first_interrupt_is_noted_and_a_second_raises():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_noted() as is_interrupted:
        stop = attach(EarlyStop(None, is_interrupted))
        stop._on_training_start()
        assert stop._on_step()
        signal.raise_signal(signal.SIGINT)
        assert not stop._on_step()
        assert stop.reason == "interrupt"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_signal_alone():
    found = []

    def work():
        with interrupts_noted() as is_interrupted:
            found.append(is_interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
