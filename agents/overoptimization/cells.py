"""The measurements: a reward model from so many labels, best-of-n against it, PPO against it.

Each takes a study and a cell and returns plain values for its JSON file. Shape letters: `P`
prompts, `N` samples of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents.bundles.comparisons import Comparisons, judged_comparisons
from textgym.agents.bundles.teacher import FallibleTeacher
from textgym.agents.evaluation.alarm_callback import AlarmCallback
from textgym.agents.evaluation.alarms import Alarms, Ensemble
from textgym.agents.evaluation.best_of_n import best_of_n_curve, kl_bound, sampled_kl
from textgym.agents.overoptimization.plan import Cell, StudyConfig, StudyFolder
from textgym.agents.overoptimization.samples import RESPONSES_PER_PROMPT, load_episodes
from textgym.agents.ppo import PPO
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.supervised.reward_training import RewardTrainingConfig, train_reward_model
from textgym.intervals import mean_interval
from textgym.rewards.base import RewardFn, score_episodes
from textgym.rewards.learned_ensemble import learned_reward
from textgym.task import TextTask
from textgym.types import Episode

Row = dict[str, Any]

_N_NORMALISATION = 512  # reference responses on which a reward model gets mean 0 and deviation 1
_N_CALIBRATION = 256  # reference responses that the alarms are calibrated on
_N_WATCHED = 192  # responses of a rollout that the ensemble reads


def measure(config: StudyConfig, folder: StudyFolder, cell: Cell) -> Row:
    """Return a cell's figures."""
    return {"reward": _reward_cell, "best-of-n": _best_of_n_cell, "ppo": _ppo_cell}[cell.kind](
        config, folder, cell
    )


def _reward_cell(config: StudyConfig, folder: StudyFolder, cell: Cell) -> Row:
    """Train the reward model on the first `size` comparisons of its seed's pool."""
    task = _task(config)
    pool = load_episodes(folder.pool(cell.seed))
    labelled = _compare(config, pool, cell.noise, seed=cell.seed)
    if len(labelled.pairs) < cell.size:
        raise ValueError(
            f"expected {cell.size} comparisons among the samples of seed {cell.seed}, got "
            f"{len(labelled.pairs)} and {labelled.n_ties} ties of gold: choose a smaller data size"
        )
    held_out = _few_of_each(load_episodes(folder.evaluation), config.n_samples)
    training = RewardTrainingConfig(
        model=str(task.config.reference_model),
        tokenizer=task.config.tokenizer,
        max_prompt_tokens=task.config.max_prompt_tokens,
        max_response_tokens=task.config.max_new_tokens,
        epochs=config.reward_epochs,
        learning_rate=config.reward_learning_rate,
        seed=cell.seed,
        device=task.config.device,
    )
    result = train_reward_model(
        training,
        labelled.pairs[: cell.size],
        _compare(config, held_out, 0.0, seed=0).pairs,
        output=folder.model(cell),
        normalise_on=[e.prompt_ids + e.response_ids for e in pool[-_N_NORMALISATION:]],
    )
    labels = [pair.gold_margin or 0.0 for pair in labelled.pairs[: cell.size]]
    return {
        "held_out": result.held_out.as_dict(),
        "label_accuracy": float(np.mean(np.array(labels) > 0)),
        "gain": result.gain,
        "bias": result.bias,
    }


def _best_of_n_cell(config: StudyConfig, folder: StudyFolder, cell: Cell) -> Row:
    """Measure the mean proxy and gold of the best of n by the proxy, and their KL."""
    episodes = load_episodes(folder.evaluation)
    shape = (config.n_prompts, config.n_samples)
    proxy = _scores(_task(config, folder, cell).reward, episodes).reshape(shape)
    gold = np.array([e.gold_score for e in episodes], dtype=np.float64).reshape(shape)
    curves = {
        name: best_of_n_curve(proxy, values, config.ns)
        for name, values in (("proxy", proxy), ("gold", gold))
    }
    rows = [
        {
            "n": n,
            "kl": float(np.mean([sampled_kl(scores, n) for scores in proxy])),
            "kl_bound": kl_bound(n),
            **{name: curve[index].as_dict() for name, curve in curves.items()},
        }
        for index, n in enumerate(config.ns)
    ]
    correlation = np.corrcoef(proxy.ravel(), gold.ravel())[0, 1]
    spreads = {"proxy_std": float(proxy.std()), "gold_std": float(gold.std())}
    return {"rows": rows, **spreads, "correlation": float(correlation)}


def _ppo_cell(config: StudyConfig, folder: StudyFolder, cell: Cell) -> Row:
    """Train PPO on the proxy and note KL, proxy, gold and the alarms at every rollout."""
    agent = PPO(
        "TransformerPolicy",
        config.env_id,
        learning_rate=config.learning_rate,
        n_envs=config.n_envs,
        env_kwargs={**config.env_kwargs, "reward_model": _model(folder, cell)},
        kl_coef=cell.kl_coef,
        policy_kwargs={"value": config.value},
        seed=cell.seed,
        device=_task(config).config.device,
    )
    alarms = AlarmCallback(_alarms(config, folder, cell), max_episodes=_N_WATCHED, warns=False)
    notes = _Notes(alarms)
    agent.learn(config.n_steps, callback=[alarms, notes])
    return {
        "rows": notes.rows,
        "first_rings": alarms.first_rings,
        "thresholds": {name: _finite(ends) for name, ends in alarms.alarms.thresholds.items()},
        "samples": [asdict(sample) for sample in agent.samples[:2]],
    }


class _Notes(BaseCallback):
    """One row for each rollout, of the policy that played it: the first is the reference itself."""

    model: SequenceRollouts

    def __init__(self, alarms: AlarmCallback) -> None:
        super().__init__()
        self.alarms = alarms
        self.rows: list[Row] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = self.alarms.episodes
        if not episodes:
            return
        self.rows.append(
            {
                "tokens": self.num_timesteps,
                "kl": float(self.logger.name_to_value["rollout/kl"]),
                "proxy": mean_interval(_known(e.score for e in episodes)).as_dict(),
                "gold": mean_interval(_known(e.gold_score for e in episodes)).as_dict(),
                "alarms": {
                    name: {"mean": r.mean, "share": r.share, "is_ringing": r.is_ringing}
                    for name, r in self.alarms.readings.items()
                },
            }
        )


def _alarms(config: StudyConfig, folder: StudyFolder, cell: Cell) -> Alarms:
    """Calibrate the alarms; the ensemble is the proxy and the study's models nearest to it.

    The others are read as they were learned: what an environment adds to its reward, such as a
    planted flaw, belongs to the proxy alone, as the flaws of one reward model do.
    """
    reference = load_episodes(folder.evaluation)
    spread = np.linspace(0, len(reference) - 1, min(len(reference), _N_CALIBRATION)).astype(int)
    others = [c for c in config.cells("reward") if folder.result(c).is_file() and c != cell.reward]
    others.sort(key=lambda c: (c.noise != cell.noise, c.size != cell.size, c.seed == cell.seed))
    task = _task(config, folder, cell)
    models = [_model(folder, c) for c in others[: max(0, config.n_ensemble - 1)]]
    settings = task.config
    members = [
        learned_reward(path, task.tokenizer, settings.device, settings.dtype) for path in models
    ]
    ensemble = Ensemble([task.reward, *members]) if members else None
    return Alarms([reference[i] for i in spread], ensemble=ensemble)


def _task(
    config: StudyConfig, folder: StudyFolder | None = None, cell: Cell | None = None
) -> TextTask:
    """Return the environment's task, its reward model a cell's where one is given, else gold."""
    kwargs = dict(config.env_kwargs)
    if folder is None or cell is None:
        kwargs["reward"] = "gold"
    else:
        kwargs["reward_model"] = _model(folder, cell)
    core: Any = gym.make_vec(config.env_id, num_envs=1, **kwargs).unwrapped
    task: TextTask = core.task
    return task


def _model(folder: StudyFolder, cell: Cell) -> str:
    return str(folder.model(cell) / "model")


def _compare(
    config: StudyConfig, episodes: Sequence[Episode], noise: float, seed: int
) -> Comparisons:
    teacher = FallibleTeacher(temperature=config.teacher_temperature, mistake_rate=noise)
    return judged_comparisons(episodes, _RecordedGold(), teacher, seed=seed)


class _RecordedGold:
    """The gold utility that the environment noted in each episode."""

    name = "gold"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the gold scores, (N,) float32."""
        return np.array([episode.gold_score for episode in episodes], dtype=np.float32)


def _few_of_each(episodes: Sequence[Episode], n_samples: int) -> list[Episode]:
    return [e for i, e in enumerate(episodes) if i % n_samples < RESPONSES_PER_PROMPT]


def _scores(reward: RewardFn, episodes: Sequence[Episode]) -> np.ndarray:
    return score_episodes(reward, episodes).scores.astype(np.float64)


def _finite(ends: tuple[float, float]) -> list[float | None]:
    return [end if np.isfinite(end) else None for end in ends]


def _known(numbers: Iterable[float | None]) -> list[float]:
    return [number for number in numbers if number is not None]
