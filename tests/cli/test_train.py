"""`textgym train` and `textgym evaluate` from the command line, on tiny models."""

from __future__ import annotations

import errno
import json
import re
import signal

import gymnasium as gym
import pytest
from transformers import AutoModelForCausalLM

import textgym
from textgym.agents.policies import TransformerPolicy
from textgym.agents.rollouts import device_memory
from textgym.agents.runs.run_folder import RunFolder
from textgym.agents.runs.run_recording import RunRecorder
from textgym.agents.storage.checkpoint import open_folder
from textgym.cli.main import main
from textgym.cli.train_config import PPO_FLAGS, SHARED_FLAGS

ENV_ID = "Tiny-Train-v0"
SMALL = ["--n-envs", "4", "--n-steps", "8", "--batch-size", "16", "--eval-prompts", "4", "--quiet"]
ROLLOUT = 32  # tokens of one rollout under SMALL


@pytest.fixture(scope="module")
def tiny_env(tmp_path_factory, tiny_model_folder):
    """An environment with a random two-layer Llama as its reference and no gold."""
    file = tmp_path_factory.mktemp("posts") / "posts.jsonl"
    words = ("the dog", "the house", "money", "the trip", "34", "rude", "nice", "500")
    rows = [{"prompt": f"my friend said {w}.\n\nTL;DR:", "reference": "my friend"} for w in words]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    textgym.register_text_env(
        ENV_ID,
        prompts=file,
        reward="length",
        reference_model=str(tiny_model_folder),
        max_prompt_tokens=40,
        max_new_tokens=6,
    )
    yield ENV_ID
    gym.registry.pop(ENV_ID)


@pytest.fixture
def train(tmp_path, tiny_env):
    """`train(*flags) -> (exit status, run folder)`; the folder is the newest below tmp_path."""

    def call(*flags, steps=2 * ROLLOUT):
        budget = [] if steps is None else ["--steps", str(steps)]
        output = ["--output", str(tmp_path / "runs")]
        status = main(["train", tiny_env, *output, *SMALL, *budget, *flags])
        return status, newest_run(tmp_path)

    return call


def newest_run(tmp_path):
    folders = sorted((tmp_path / "runs").glob("*"), key=lambda path: path.stat().st_mtime_ns)
    return RunFolder(folders[-1]) if folders else None


def result_of(run):
    return json.loads((run.path / "result.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_env):
    """A finished run that tests only read."""
    output = tmp_path_factory.mktemp("finished") / "runs"
    flags = ["--output", str(output), *SMALL, "--steps", str(2 * ROLLOUT)]
    assert main(["train", tiny_env, *flags]) == 0
    return RunFolder(next(output.iterdir()))


def test_a_run_leaves_everything_in_its_folder(finished):
    names = {path.name for path in finished.path.iterdir()}
    assert names >= {
        "config.json",
        "versions.json",
        "progress.csv",
        "samples.jsonl",
        "final",
        "figures",
        "result.json",
    }
    assert (finished.figures / "overview.png").stat().st_size > 5000
    AutoModelForCausalLM.from_pretrained(finished.final / "policy")
    config = finished.read_config()
    assert config["hyperparameters"] == {"n_steps": 8, "batch_size": 16}
    assert config["resolved"]["gae_lambda"] == 0.95


def test_the_result_compares_before_and_after(finished):
    result = result_of(finished)
    assert result["num_timesteps"] == 2 * ROLLOUT
    assert result["stopped_by"] is None
    before, after = result["before"]["metrics"], result["after"]["metrics"]
    assert abs(before["kl"]["mean"]) < 1e-4
    assert set(after) >= {"score", "kl", "length", "eos_rate", "win_rate", "rouge1"}
    assert after["win_rate"]["count"] == 4
    assert [sorted(pair) for pair in result["samples"]] == [
        ["prompt", "prompt_id", "reference", "trained"]
    ] * 2


def test_the_last_lines_are_a_table_samples_and_paths(train, capsys):
    status, run = train()
    shown = capsys.readouterr()
    assert status == 0
    for word in ("reference", "trained", "score", "KL", "win rate", "TL;DR:"):
        assert word in shown.out
    assert str(run.figures / "overview.png") in shown.out
    assert "trained against" in shown.err  # there is no gold, so wins are judged by the reward


def test_a2c_trains_too(tmp_path, tiny_env):
    flags = [flag for flag in SMALL if flag not in ("--batch-size", "16")]
    output = ["--output", str(tmp_path / "runs"), "--steps", str(ROLLOUT), "--seed", "3"]
    assert main(["train", tiny_env, "--algo", "a2c", *flags, *output]) == 0
    run = newest_run(tmp_path)
    assert run.path.name.startswith("Tiny-Train-v0-a2c-3-")
    assert json.loads((run.final / "agent.json").read_text())["algorithm"] == "A2C"


def test_resuming_goes_on_where_it_stopped(train, capsys):
    _, run = train()
    first = result_of(run)
    resume = ["train", "--resume", str(run.path), "--quiet"]
    assert main([*resume, "--steps", str(4 * ROLLOUT)]) == 0
    assert result_of(run)["num_timesteps"] == 4 * ROLLOUT > first["num_timesteps"]
    assert [file.name for file in run.progress_files()] == ["progress.csv", "progress-2.csv"]
    rows = [file.read_text().splitlines() for file in run.progress_files()]
    assert [len(row) - 1 for row in rows] == [2, 2]
    capsys.readouterr()
    assert main([*resume, "--steps", str(ROLLOUT)]) == 2
    assert f"above the {4 * ROLLOUT}" in capsys.readouterr().err


def test_ctrl_c_saves_and_the_run_goes_on(train, monkeypatch):
    note = RunRecorder._on_rollout_end

    def interrupted(self):
        note(self)
        if self.n_rollouts == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunRecorder, "_on_rollout_end", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    status, run = train(steps=100 * ROLLOUT)
    monkeypatch.undo()
    assert status == 0
    assert signal.getsignal(signal.SIGINT) is handler
    assert result_of(run)["stopped_by"] == "interrupt"
    seen = result_of(run)["num_timesteps"]
    assert 2 * ROLLOUT <= seen < 4 * ROLLOUT
    assert main(["train", "--resume", str(run.path), "--quiet", "--steps", str(seen + 1)]) == 0
    assert result_of(run)["num_timesteps"] > seen


def test_minutes_bound_a_run(train):
    status, run = train("--minutes", "0.0001", steps=None)
    assert status == 0
    assert result_of(run)["stopped_by"] == "time"
    assert result_of(run)["num_timesteps"] <= 2 * ROLLOUT


def test_a_full_disk_keeps_the_checkpoint_before(train, monkeypatch, capsys, tiny_env):
    write = TransformerPolicy.write
    calls = []

    def filling_disk(self, folder, *arguments):
        calls.append(folder)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, folder, *arguments)

    monkeypatch.setattr(TransformerPolicy, "write", filling_disk)
    status, run = train("--checkpoint-every", "1", steps=4 * ROLLOUT)
    monkeypatch.undo()
    assert status == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [folder.name for folder in run.checkpoint_folders()] == [str(ROLLOUT)]
    assert main(["evaluate", str(run.path), "--n-prompts", "2"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Tiny-Trian-v0"], "unknown environment 'Tiny-Trian-v0'"),
        (["CartPole-v1"], "'CartPole-v1' has no text: `textgym feedback-loop CartPole-v1` trains"),
        (["TwoState-v0"], "'TwoState-v0' has no tokens to write: `textgym benchmark --envs TwoSt"),
        (["TextMaze-v0-Corridor"], "unknown .*; did you mean 'TextMaze-Corridor-v0'"),
        (["RLHF-Summarize-v1"], "unknown environment .*; did you mean 'RLHF-Summarize-v0'"),
        ([], "expected an environment's id"),
        ([ENV_ID, "--algo", "dqn"], "invalid choice: 'dqn'"),
        ([ENV_ID, "--preset", "best"], "--preset must be one of .*got 'best'"),
        ([ENV_ID, "--algo", "a2c", "--clip-range", "0.1"], "--clip-range is a flag of PPO"),
        ([ENV_ID, "--steps", "9", "--minutes", "1"], "--steps or --minutes, got both"),
        ([ENV_ID, "--steps", "0"], "steps must be above 0, got 0"),
        ([ENV_ID, "--n-envs", "0"], "n_envs must be at least 1, got 0"),
        ([ENV_ID, "--clip-rang", "0.1"], "did you mean '--clip-range'"),
        ([ENV_ID, "--model", "no/such-model-here"], "no/such-model-here"),
        ([ENV_ID, "--env-kwarg", "rewardd=gold"], "did you mean 'reward'"),
        (["--resume", "no/such/run"], "expected a run folder, got .*such"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    tiny_env, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert re.search(message, error), error
    assert "Traceback" not in error


def test_resume_refuses_to_become_another_run(finished, capsys):
    for flags in (["--seed", "4"], ["--gamma", "0.9"], ["--algo", "a2c"], ["--env-kwarg", "a=1"]):
        assert main(["train", "--resume", str(finished.path), *flags]) == 2
        assert "--resume takes everything from" in capsys.readouterr().err


def test_every_hyper_parameter_has_a_flag(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for name in SHARED_FLAGS + PPO_FLAGS:
        assert f"--{name.replace('_', '-')}" in text


def test_evaluate_reads_a_run(finished, capsys, tmp_path):
    file = tmp_path / "numbers.json"
    flags = ["--n-prompts", "4", "--judge", "metric:rouge", "--json", str(file)]
    assert main(["evaluate", str(finished.path), *flags]) == 0
    assert "wins judged by metric:rouge" in capsys.readouterr().out
    numbers = json.loads(file.read_text())
    assert numbers["env_id"] == ENV_ID
    assert numbers["after"]["metrics"]["win_rate"]["count"] == 4
    assert abs(numbers["before"]["metrics"]["kl"]["mean"]) < 1e-5
    assert abs(numbers["after"]["metrics"]["kl"]["mean"]) > 1e-5


def test_evaluate_reads_any_language_model(tiny_env, tiny_model_folder, capsys):
    flags = ["--env", tiny_env, "--n-prompts", "2", "--greedy", "--samples", "1"]
    assert main(["evaluate", str(tiny_model_folder), *flags]) == 0
    text = capsys.readouterr().out
    assert "name a --judge" in text
    assert text.count("TL;DR:") == 1


def test_evaluate_refuses_what_it_cannot_read(finished, tiny_env, tmp_path, capsys):
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "expected --env ENV" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path), "--env", tiny_env]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    weights = finished.final / "policy" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4])
    try:
        assert main(["evaluate", str(finished.path)]) == 2
        assert "'policy/model.safetensors' has" in capsys.readouterr().err
    finally:
        weights.write_bytes(whole)


def test_the_memory_of_an_iteration_is_printed_before_it_runs(train, capsys):
    status, _ = train("--eval-prompts", "0", steps=ROLLOUT)
    assert status == 0
    out = capsys.readouterr().out
    assert re.search(r"^run: .*\nmemory: about [\d.e-]+ GiB \(\w[\w ]* [\d.e-]+, ", out, re.M)


def test_a_run_that_cannot_fit_makes_no_folder(train, monkeypatch, capsys):
    monkeypatch.setattr(device_memory.require_memory, "__defaults__", (lambda device: 1000,))
    status, run = train()
    assert status == 2 and run is None
    err = capsys.readouterr().err
    assert "an iteration takes about" in err and ": change " in err


def test_out_of_memory_leaves_the_last_checkpoint_whole(train, monkeypatch, capsys):
    evaluate, calls = TransformerPolicy.evaluate_actions, []

    def breaks_in_the_third_update(self, obs, actions):
        calls.append(len(actions))
        if sum(calls) > 2 * 2 * ROLLOUT:  # two rollouts, two epochs
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        return evaluate(self, obs, actions)

    with monkeypatch.context() as patch:
        patch.setattr(TransformerPolicy, "evaluate_actions", breaks_in_the_third_update)
        status, run = train("--checkpoint-every", "1", steps=4 * ROLLOUT)
    assert status == 2
    err = capsys.readouterr().err
    assert "out of memory in update (32 transitions" in err and "can't allocate memory" in err
    newest = run.checkpoint_folders()[-1]
    assert f"the last checkpoint is {newest}" in err and newest.name == str(2 * ROLLOUT)
    open_folder(newest)  # verifies every file
    assert main(["train", "--resume", str(run.path), "--eval-prompts", "0", "--quiet"]) == 0
    assert result_of(run)["num_timesteps"] == 4 * ROLLOUT
