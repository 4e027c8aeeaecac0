"""Policies: language models as Stable-Baselines3 actor-critic policies."""

from textgym.agents.policies.slot_state import SlotState
from textgym.agents.policies.transformer_policy import TransformerPolicy

__all__ = ["SlotState", "TransformerPolicy"]
