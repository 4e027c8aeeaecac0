"""The text mazes: their plans, what is seen and paid, and the teacher."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.maze_plans import COSTS, WALL, MazePlan, corridor, t_maze, tree

IDS = ("TextMaze-v0", "TextMaze-Corridor-v0", "TextMaze-TMaze-v0")


def steps_to_the_exit(plan: MazePlan) -> np.ndarray:
    """Breadth first from the exits: (S,), -1 where none can be reached."""
    distance = np.where(plan.is_exit, 0, -1)
    for length in range(1, len(distance) + 1):
        ahead = np.where(plan.passages == WALL, -1, distance[plan.passages])
        is_next = (ahead == length - 1).any(axis=1) & (distance < 0)
        distance[is_next] = length
    return distance


@pytest.mark.parametrize("seed", range(20))
def test_every_maze_has_a_way_out_of_every_room(seed: int) -> None:
    for depth in (1, 3, 5):
        plan = tree(depth, seed)
        distance = steps_to_the_exit(plan)
        assert distance.min() == 0 and distance[0] == depth
        assert plan.is_exit.sum() == 1 and not plan.is_dead_end[plan.is_exit].any()
        is_blind = (plan.passages != WALL).sum(axis=1) == 1
        assert is_blind[plan.is_dead_end].all()
        assert (plan.passages[plan.is_dead_end].max(axis=1) == 0).all()
        assert plan.rewards[plan.is_exit] == 1.0
        assert set(plan.rewards[~plan.is_exit]) <= set(COSTS)
        np.testing.assert_array_equal(plan.passages, tree(depth, seed).passages)
    assert len({tree(5, s).passages.tobytes() for s in range(20)}) > 15


def test_corridor_and_t_by_hand() -> None:
    plan = corridor(5, 0)
    assert plan.passages.tolist() == [[-1, 1], [0, 2], [1, 3], [2, 4], [-1, -1]]
    assert plan.start.argmax() == 2 and plan.is_exit.argmax() == 4
    plan = t_maze(2, 0)
    # Rooms: stem 0 and 1, junction 2, arms 3 and 4; then the same with the exit on the right.
    assert plan.passages[:5].tolist() == [[-1, 1], [0, 2], [3, 4], [-1, -1], [2, -1]]
    assert plan.passages[5:].tolist() == [[-1, 6], [5, 7], [8, 9], [-1, 7], [-1, -1]]
    assert np.flatnonzero(plan.is_exit).tolist() == [3, 9]
    assert np.flatnonzero(plan.is_dead_end).tolist() == [4, 8]
    assert plan.start.tolist() == [0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0]


@pytest.mark.parametrize("env_id", IDS)
def test_the_best_way_is_the_shortest(env_id: str) -> None:
    """Every cost is above 0, and no detour of these mazes is cheaper: BFS and Q* agree."""
    env: Any = gym.make(env_id).unwrapped
    distance = steps_to_the_exit(env.plan)
    for state in np.flatnonzero(env.plan.start):
        env.reset(options={"state": int(state)})
        here, steps, total = int(state), 0, 0.0
        while not env.plan.is_exit[here]:
            _, reward, _, _, info = env.step(int(env.optimal_q[here].argmax()))
            here, steps, total = info["state"], steps + 1, total + reward
        assert steps == distance[state]
        assert total == pytest.approx(env.mdp.best_return)


def test_rooms_in_words() -> None:
    env: Any = gym.make("TextMaze-Corridor-v0", length=5).unwrapped
    observation, info = env.reset(seed=0)
    assert info == {"state": 2, "text": "room 2 left open right open"}
    assert env.tokenizer.decode(observation) == info["text"]
    assert observation in env.observation_space
    assert env.step(1)[4]["text"] == "room 3 left open right open"
    _, reward, terminated, _, info = env.step(1)
    assert info["text"] == "room 4 left exit right exit"
    assert (reward, terminated, info["teacher_score"]) == (1.0, True, 1.0)
    assert info["feedback"] == "That is the way out."


def test_walls_cost_the_room_again_and_the_teacher_says_so() -> None:
    for reward in ("cells", "teacher"):
        env: Any = gym.make("TextMaze-Corridor-v0", length=5, reward=reward).unwrapped
        env.reset(options={"state": 1})
        _, paid, _, _, info = env.step(0)
        assert (info["teacher_score"], info["feedback"]) == (-1.0, "That is a dead end.")
        assert paid == (-1.0 if reward == "teacher" else env.plan.rewards[0])
        _, paid, _, _, info = env.step(0)
        assert info["state"] == 0 and info["feedback"] == "That is a wall."
        assert paid == (-1.0 if reward == "teacher" else env.plan.rewards[0])
        _, paid, _, _, info = env.step(1)
        assert info["feedback"] == "" and info["teacher_score"] == 0.0
        assert paid == (0.0 if reward == "teacher" else env.plan.rewards[1])


def test_the_teachers_reward_leads_out_too() -> None:
    for env_id in IDS:
        env: Any = gym.make(env_id, reward="teacher").unwrapped
        assert env.mdp.best_return == 1.0 > env.mdp.random_return


def test_the_sign_must_be_remembered_where_it_is_shown_once() -> None:
    shown: Any = gym.make("TextMaze-TMaze-v0", length=2).unwrapped
    once: Any = gym.make("TextMaze-TMaze-v0", length=2, memory=True).unwrapped
    assert [shown.describe(s) for s in (0, 1)] == [
        "room 0 sign left left wall right open",
        "room 1 sign left left open right open",
    ]
    assert once.describe(0) == shown.describe(0)
    # Behind the first room the two sides look alike.
    for room in (1, 2):
        assert once.describe(room) == once.describe(5 + room) != shown.describe(room)
    cells: Any = gym.make("TextMaze-v0", observation="cell").unwrapped
    assert cells.observation_space == gym.spaces.Discrete(cells.mdp.num_states)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "message"),
    [
        ("TextMaze-v0", {"depth": 0}, "depth must be an integer of at least 1, got 0"),
        ("TextMaze-v0", {"depth": 9}, "depth must be at most 8, got 9"),
        ("TextMaze-v0", {"maze_seed": -1}, "maze_seed must be an integer of at least 0, got -1"),
        ("TextMaze-v0", {"reward": "gold"}, "reward must be one of .*'teacher'.*got 'gold'"),
        ("TextMaze-v0", {"observation": "x"}, "observation must be one of .*got 'x'"),
        ("TextMaze-Corridor-v0", {"length": 2}, "length must be an integer of at least 3, got 2"),
        ("TextMaze-TMaze-v0", {"memory": 1}, "memory must be True or False, got 1"),
        (
            "TextMaze-TMaze-v0",
            {"memory": True, "observation": "cell"},
            "memory=True needs observation='text'.*'cell'",
        ),
    ],
)
def test_bad_arguments(env_id: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(env_id, **kwargs)


def test_a_variant_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(gym.error.NameNotFound, match="TextMaze-Corridor"):
        gym.make("TextMaze-Coridor-v0")
