"""Plans of mazes: rooms with a passage or a wall to the left and to the right.

A plan is a pure function of its arguments. Shape letter: S states, one per room, or one per room
and side of the exit where that side differs from episode to episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WALL = -1
LEFT, RIGHT = 0, 1
COSTS = (-0.3, -0.2, -0.1)
EXIT_REWARD = 1.0
WALL_CHANCE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class MazePlan:
    """One maze.

    Attributes:
        passages: (S, 2) int64, the state behind the left and the right, or `WALL`.
        rewards: (S,) float64, what entering a state pays; the exit's is the largest.
        is_exit: (S,) bool.
        is_dead_end: (S,) bool, True where the only passage leads back.
        start: (S,) float64, the chance that an episode begins there.
        rooms: (S,) int64, the room of each state, in [0, number of rooms).
        signs: The side on which the exit lies, `LEFT` or `RIGHT`, by state; empty without signs.
    """

    passages: np.ndarray
    rewards: np.ndarray
    is_exit: np.ndarray
    is_dead_end: np.ndarray
    start: np.ndarray
    rooms: np.ndarray
    signs: tuple[int, ...] = ()


def corridor(length: int, maze_seed: int) -> MazePlan:
    """Return a row of `length` rooms: begin in the middle, the exit is the last to the right."""
    numbers = np.arange(length)
    passages = np.stack([numbers - 1, numbers + 1], axis=1)
    passages[-1] = WALL  # from the exit nothing leads on; room 0 has -1 on its left already
    start = np.zeros(length)
    start[(length - 1) // 2] = 1.0
    return MazePlan(
        passages=passages,
        rewards=_rewards(numbers == length - 1, numbers, maze_seed),
        is_exit=numbers == length - 1,
        is_dead_end=numbers == 0,
        start=start,
        rooms=numbers,
    )


def t_maze(length: int, maze_seed: int) -> MazePlan:
    """Return a stem of `length` rooms and a junction with the exit on the one side or the other.

    In the stem the right leads onward and the left back. The states of the first half have the exit
    on the left, those of the second on the right.
    """
    num_rooms = length + 3
    sides = [_t_passages(length, side) for side in (LEFT, RIGHT)]
    sides[RIGHT] = np.where(sides[RIGHT] == WALL, WALL, sides[RIGHT] + num_rooms)
    rooms = np.tile(np.arange(num_rooms), 2)
    arms = np.array([length + 1, length + 2, num_rooms + length + 2, num_rooms + length + 1])
    states = np.arange(2 * num_rooms)
    return MazePlan(
        passages=np.concatenate(sides),
        rewards=_rewards(np.isin(states, arms[[0, 2]]), rooms, maze_seed),
        is_exit=np.isin(states, arms[[0, 2]]),
        is_dead_end=np.isin(states, arms[[1, 3]]),
        start=np.where(rooms == 0, 0.5, 0.0),
        rooms=rooms,
        signs=(LEFT,) * num_rooms + (RIGHT,) * num_rooms,
    )


def tree(depth: int, maze_seed: int) -> MazePlan:
    """Return a maze that forks: one branch of `depth` passages ends in the exit, others nowhere.

    A dead end's only passage leads back to the entrance, so the exit can be reached from each room.
    """
    generator = np.random.default_rng([maze_seed, 0])
    way = generator.integers(2, size=depth).tolist()
    passages: list[list[int]] = [[WALL, WALL]]
    # Rooms to furnish: number, depth, and whether the exit lies behind it.
    waiting, exit_room = [(0, 0, True)], 0
    while waiting:
        room, level, on_the_way = waiting.pop(0)
        if level == depth:
            exit_room = room if on_the_way else exit_room
            continue
        for side in (LEFT, RIGHT):
            leads_on = on_the_way and side == way[level]
            if leads_on or generator.random() >= WALL_CHANCE:
                passages[room][side] = len(passages)
                waiting.append((len(passages), level + 1, leads_on))
                passages.append([WALL, WALL])
    table = np.array(passages)
    numbers = np.arange(len(table))
    is_dead_end = (table == WALL).all(axis=1) & (numbers != exit_room)
    back = generator.integers(2, size=len(table))
    table[is_dead_end, back[is_dead_end]] = 0
    return MazePlan(
        passages=table,
        rewards=_rewards(numbers == exit_room, numbers, maze_seed),
        is_exit=numbers == exit_room,
        is_dead_end=is_dead_end,
        start=np.where(numbers == 0, 1.0, 0.0),
        rooms=numbers,
    )


def _t_passages(length: int, exit_side: int) -> np.ndarray:
    """Return (length + 3, 2): the stem, the junction, its left arm and its right arm."""
    junction = length
    passages = np.full((length + 3, 2), WALL, dtype=np.int64)
    passages[: length + 1, LEFT] = np.arange(-1, length)
    passages[: length + 1, RIGHT] = np.arange(1, length + 2)
    passages[junction] = [length + 1, length + 2]
    if exit_side == LEFT:
        passages[length + 2, LEFT] = junction
    else:
        passages[length + 1, RIGHT] = junction
    return passages


def _rewards(is_exit: np.ndarray, rooms: np.ndarray, maze_seed: int) -> np.ndarray:
    """Return what entering each state pays, (S,): a cost by room, and most at the exit."""
    generator = np.random.default_rng([maze_seed, 1])
    costs = generator.choice(COSTS, size=int(rooms.max()) + 1)
    return np.where(is_exit, EXIT_REWARD, costs[rooms])
