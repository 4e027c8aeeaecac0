"""Wrappers that change what a text environment shows."""

from textgym.wrappers.prompt_length import PromptLengthObservation, VectorPromptLengthObservation

__all__ = ["PromptLengthObservation", "VectorPromptLengthObservation"]
