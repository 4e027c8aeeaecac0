"""The folder of a run."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from textgym.agents.runs.run_folder import RunFolder, is_run_folder, versions
from textgym.agents.storage.checkpoint import save_folder, save_json

NOW = datetime(2026, 1, 31, 12, 0, 0)


def make_run(tmp_path):
    return RunFolder.create(tmp_path / "runs", "RLHF-Toy-v0", "ppo", 3, now=NOW)


def save_agent(folder, value=1):
    return save_folder(folder, lambda f: save_json(f / "agent.json", value))


def test_names_say_what_ran_and_never_collide(tmp_path):
    assert make_run(tmp_path).path.name == "RLHF-Toy-v0-ppo-3-20260131-120000"
    assert make_run(tmp_path).path.name == "RLHF-Toy-v0-ppo-3-20260131-120000-2"


@pytest.mark.parametrize("env_id", ["my/Task-v0", "my_module:Task-v0"])
def test_an_id_with_a_namespace_or_module_stays_one_folder(tmp_path, env_id):
    run = RunFolder.create(tmp_path, env_id, "a2c", 0, now=NOW)
    assert run.path.parent == tmp_path
    assert ":" not in run.path.name


def test_config_and_versions(tmp_path):
    run = make_run(tmp_path)
    assert not is_run_folder(run.path)
    run.write_config({"env_id": "RLHF-Toy-v0", "seed": 3})
    assert is_run_folder(run.path)
    assert run.read_config() == {"env_id": "RLHF-Toy-v0", "seed": 3}
    written = json.loads((run.path / "versions.json").read_text())
    assert written["packages"]["torch"] == versions()["packages"]["torch"] is not None


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a run folder"):
        RunFolder(tmp_path).read_config()


def test_logger_writes_a_table(tmp_path):
    run = make_run(tmp_path)
    logger = run.logger()
    logger.record("rollout/score", 0.5)
    logger.dump(10)
    logger.close()
    assert [file.name for file in run.progress_files()] == ["progress.csv"]
    assert run.progress_files()[0].read_text().splitlines() == ["rollout/score", "0.5"]
    assert list(run.path.glob("events.out.tfevents.*"))


def test_a_run_that_goes_on_keeps_its_first_table(tmp_path):
    run = make_run(tmp_path)
    for value in (0.5, 0.6):
        logger = run.logger()
        logger.record("rollout/score", value)
        logger.dump(10)
        logger.close()
    assert [file.name for file in run.progress_files()] == ["progress.csv", "progress-2.csv"]
    assert run.progress_files()[0].read_text().splitlines()[1] == "0.5"


def test_samples_are_lines_of_json(tmp_path):
    run = make_run(tmp_path)
    run.add_samples([{"response": "one"}])
    run.add_samples([{"response": "zwei\n"}, {"response": "drei"}])
    lines = (run.path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["response"] for line in lines] == ["one", "zwei\n", "drei"]


def test_newest_agent_is_the_final_one_else_the_last_checkpoint(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="has saved no agent"):
        run.newest_agent()
    for steps in (900, 1800, 10000):
        save_agent(run.checkpoints / str(steps))
    assert run.newest_agent().name == "10000"
    run.keep_newest_checkpoints(2)
    assert [f.name for f in run.checkpoint_folders()] == ["1800", "10000"]
    save_agent(run.final)
    assert run.newest_agent() == run.final


def test_a_half_saved_checkpoint_is_not_chosen(tmp_path):
    run = make_run(tmp_path)
    save_agent(run.checkpoints / "900")
    (run.checkpoints / "1800").mkdir()
    assert run.newest_agent().name == "900"
