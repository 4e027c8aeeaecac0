"""Wrappers: what an agent sees, does and is paid, recordings, and feedback without text."""

from textgym.wrappers.action_mask import ActionMaskObservation, VectorActionMaskObservation
from textgym.wrappers.feedback_env import FeedbackEnv, FeedbackVectorEnv
from textgym.wrappers.human_feedback import HumanFeedback, TrueReward
from textgym.wrappers.message_action import MessageAction
from textgym.wrappers.one_hot import OneHotObservation, VectorOneHotObservation
from textgym.wrappers.prompt_length import PromptLengthObservation, VectorPromptLengthObservation
from textgym.wrappers.recording import RecordEpisodes, VectorRecordEpisodes
from textgym.wrappers.shaping import PotentialShaping, VectorPotentialShaping
from textgym.wrappers.text_observation import TextObservation, VectorTextObservation

__all__ = [
    "ActionMaskObservation",
    "FeedbackEnv",
    "FeedbackVectorEnv",
    "HumanFeedback",
    "MessageAction",
    "OneHotObservation",
    "PotentialShaping",
    "PromptLengthObservation",
    "RecordEpisodes",
    "TextObservation",
    "TrueReward",
    "VectorActionMaskObservation",
    "VectorOneHotObservation",
    "VectorPotentialShaping",
    "VectorPromptLengthObservation",
    "VectorRecordEpisodes",
    "VectorTextObservation",
]
