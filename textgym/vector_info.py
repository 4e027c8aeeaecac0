"""The info dict of a vector environment, laid out as Gymnasium's `SyncVectorEnv` lays it out.

Every key comes with a boolean mask `_key` of the rows that have it. Numbers common to all rows are
written as arrays at once; only rows that end or begin are added one by one.
Shape letter: N rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from textgym.mdp_rows import MDPRows
from textgym.row_info import end_info
from textgym.token_mdp import StepResult

FINAL_OBS = "final_obs"


def put_column(
    info: dict[str, Any], key: str, values: np.ndarray, has: np.ndarray | None = None
) -> None:
    """Write one key for all rows at once; nothing where no row has it.

    Args:
        info: The dict to fill.
        key: Its name.
        values: (N, ...) array; copied.
        has: (N,) bool, the rows that have the key, None for all; other rows are zeroed.
    """
    if has is None:
        info[key] = values.copy()
        info[f"_{key}"] = np.ones(len(values), dtype=np.bool_)
    elif has.any():
        column = np.zeros_like(values)
        column[has] = values[has]
        info[key], info[f"_{key}"] = column, has.copy()


def put_row(info: dict[str, Any], row: int, row_info: Mapping[str, Any], num_rows: int) -> None:
    """Add one row's info; nested dicts become nested vector infos."""
    for key, value in row_info.items():
        if isinstance(value, Mapping) and key != FINAL_OBS:
            info.setdefault(key, {})
            put_row(info[key], row, value, num_rows)
        else:
            if key not in info:
                info[key] = _new_column(key, value, num_rows)
            info[key][row] = value
        if f"_{key}" not in info:
            info[f"_{key}"] = np.zeros(num_rows, dtype=np.bool_)
        info[f"_{key}"][row] = True


def _new_column(key: str, value: Any, num_rows: int) -> np.ndarray:
    if key == FINAL_OBS:
        return np.full(num_rows, None, dtype=object)
    if type(value) in (int, float, bool) or isinstance(value, np.number):
        return np.zeros(num_rows, dtype=type(value))
    if isinstance(value, np.ndarray):
        return np.zeros((num_rows, *value.shape), dtype=value.dtype)
    return np.full(num_rows, None, dtype=object)


def put_ends(
    info: dict[str, Any],
    result: StepResult,
    rows: MDPRows,
    *,
    is_final: bool,
    masks: np.ndarray | None,
) -> None:
    """Write what ended rows return: at the top, or in `final_info` where they begin anew.

    Args:
        info: The dict to fill.
        result: The step.
        rows: The state before any row begins anew.
        is_final: Whether ended rows begin anew in this step (SAME_STEP).
        masks: (N, A) int8 of the ended states, None where masks are not asked for.
    """
    for row, episode in result.episodes.items():
        row_info = end_info(episode)
        if is_final:
            row_info["prompt_length"] = int(rows.prompt_lengths[row])
            if result.ref_log_probs is not None:
                row_info["ref_log_prob"] = float(result.ref_log_probs[row])
            if result.token_rewards is not None:
                row_info["token_reward"] = float(result.token_rewards[row])
            if masks is not None:
                row_info["action_mask"] = masks[row]
            row_info = {FINAL_OBS: rows.ids[row].copy(), "final_info": row_info}
        put_row(info, row, row_info, len(rows))


def row_info_of(
    infos: Mapping[str, Any], row: int, keys: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return one row's part of a vector environment's info, nested ones included.

    Args:
        infos: As `SyncVectorEnv` lays them out.
        row: Which.
        keys: Those that are looked at, None for all.
    """
    values = {}
    for key in infos if keys is None else keys:
        value, present = infos.get(key), infos.get(f"_{key}")
        if key.startswith("_") or value is None or (present is not None and not present[row]):
            continue
        values[key] = row_info_of(value, row) if isinstance(value, Mapping) else value[row]
    return values
