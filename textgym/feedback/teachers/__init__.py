"""Simulated teachers: the gold order, and a knob for each problem of human feedback."""

from textgym.feedback.teachers.config import TeacherConfig, calibrated
from textgym.feedback.teachers.critic import Critic, rubric_critic
from textgym.feedback.teachers.gold_teacher import GoldTeacher
from textgym.feedback.teachers.judges import Finding, Judge, RecordedGold
from textgym.feedback.teachers.panel import Panel, build_teacher
from textgym.feedback.teachers.rubric import Critique, Rubric, grade_of
from textgym.feedback.teachers.scale import score_of

__all__ = [
    "Critic",
    "Critique",
    "Finding",
    "GoldTeacher",
    "Judge",
    "Panel",
    "RecordedGold",
    "Rubric",
    "TeacherConfig",
    "build_teacher",
    "calibrated",
    "grade_of",
    "rubric_critic",
    "score_of",
]
