"""What a vector wrapper does to the observations of episodes that have just ended.

Shape letter: N rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def with_final(infos: dict[str, Any], change: Callable[[int, Any], Any]) -> dict[str, Any]:
    """Return the infos with every `final_obs` changed; the ones that came in stay as they are.

    Args:
        infos: Of a vector environment's step; without `final_obs` they are returned as they are.
        change: From a row and its last observation to what is shown instead.
    """
    if "final_obs" not in infos:
        return infos
    final = infos["final_obs"].copy()
    for row in np.flatnonzero(infos["_final_obs"]).tolist():
        final[row] = change(row, final[row])
    return {**infos, "final_obs": final}
