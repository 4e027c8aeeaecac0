"""Agents: language-model policies and the algorithms that train them."""

from textgym.agents.a2c import A2C
from textgym.agents.advantages import generalized_advantages, whiten
from textgym.agents.callbacks import SampleCallback
from textgym.agents.kl_control import AdaptiveKLController, FixedKLController
from textgym.agents.kl_shaping import kl_shaped
from textgym.agents.learning_rate import LearningRate
from textgym.agents.policies import SlotState, TransformerPolicy
from textgym.agents.ppo import PPO
from textgym.agents.rollouts.memory_estimate import MemoryEstimate, estimate_memory
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.vec_env_adapter import TextVecEnv, as_vec_env

__all__ = [
    "A2C",
    "PPO",
    "AdaptiveKLController",
    "FixedKLController",
    "LearningRate",
    "MemoryEstimate",
    "SampleCallback",
    "SequenceRolloutBuffer",
    "SequenceRollouts",
    "SlotState",
    "TextVecEnv",
    "TransformerPolicy",
    "as_vec_env",
    "estimate_memory",
    "generalized_advantages",
    "kl_shaped",
    "whiten",
]
