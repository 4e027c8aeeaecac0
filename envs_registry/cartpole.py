"""RLHF-CartPole-v0: balance a pole, paid by what was learned from feedback.

Description:
    Gymnasium's CartPole-v1 without its reward. Segments of what the agent does are recorded and
    can be asked about; a reward model that is learned from the answers pays the agent. The true
    reward is kept as gold.
Observation:
    `Box((4,), float32)`: position and speed of the cart, angle and angular speed of the pole.
Action:
    `Discrete(2)`: push the cart to the left or to the right.
Reward:
    What the reward model says of the step; 0 before the first reward model.
Episode end:
    Terminated when the pole tilts beyond 12 degrees or the cart leaves the track, truncated after
    500 steps.
Info:
    `reward_ready`, `reward_model_version`; of a step also `true_reward` (1 each); of the last one
    `gold_score`, the true return.

Arguments:
    `feedback_kind` ("comparison"), `segment_length` (50), `selection` ("random"), `pool_size`
    (1000), `ask_every` (0: only when told), `questions` (10), `feedback_seed` (0), `render_mode`;
    `feedback`, a `SegmentFeedback` to share. Every step truly pays 1, so segments of one length
    are all equal; those that the end of an episode cut short are worth less.
Data:
    None.
Version history:
    v0: first version.
"""

from __future__ import annotations

from textgym.wrappers.feedback_env import FeedbackEnv, FeedbackVectorEnv


class CartPoleEnv(FeedbackEnv):
    """One row of RLHF-CartPole-v0; see the module's docstring."""

    base_id = "CartPole-v1"

    def best_known_action(self) -> int:
        """Return the push under which the pole falls to: it stands for all 500 steps."""
        position, speed, angle, spin = self._seen
        return int(10.0 * angle + 2.0 * spin + 0.5 * position + speed > 0)


class CartPoleVectorEnv(FeedbackVectorEnv):
    """N rows of RLHF-CartPole-v0; see the module's docstring."""

    env_class = CartPoleEnv
