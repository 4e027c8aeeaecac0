"""Wrappers: what a text environment shows, and feedback for environments without text."""

from textgym.wrappers.feedback_env import FeedbackEnv, FeedbackVectorEnv
from textgym.wrappers.human_feedback import HumanFeedback, TrueReward
from textgym.wrappers.one_hot import OneHotObservation, VectorOneHotObservation
from textgym.wrappers.prompt_length import PromptLengthObservation, VectorPromptLengthObservation

__all__ = [
    "FeedbackEnv",
    "FeedbackVectorEnv",
    "HumanFeedback",
    "OneHotObservation",
    "PromptLengthObservation",
    "TrueReward",
    "VectorOneHotObservation",
    "VectorPromptLengthObservation",
]
