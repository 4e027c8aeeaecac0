"""Human feedback: records, the questions they answer, a store and a broker. Loads no torch."""

from textgym.feedback.queries import QUERY_KINDS, Query, Teacher
from textgym.feedback.records import (
    SCHEMA_VERSION,
    Comparison,
    Correction,
    Demonstration,
    FeedbackRecord,
    LanguageFeedback,
    Ranking,
    Score,
    Skipped,
    revised,
)
from textgym.feedback.responses import Annotator, PromptText, Response, Segment, Span

__all__ = [
    "QUERY_KINDS",
    "SCHEMA_VERSION",
    "Annotator",
    "Comparison",
    "Correction",
    "Demonstration",
    "FeedbackRecord",
    "LanguageFeedback",
    "PromptText",
    "Query",
    "Ranking",
    "Response",
    "Score",
    "Segment",
    "Skipped",
    "Span",
    "Teacher",
    "revised",
]
