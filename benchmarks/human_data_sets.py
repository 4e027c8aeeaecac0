"""Public human data and the mappings of columns that make records of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textgym.dataset_files import read_rows
from textgym.feedback.column_mapping import ColumnMapping, records_from_rows
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.responses import Annotator


@dataclass(frozen=True, kw_only=True)
class HumanData:
    """A file and the mappings that make records of it.

    Attributes:
        name: Of the row in the table.
        file: Its beginning, without ".train.jsonl.gz".
        mappings: What its columns are.
        epochs: Passes over its labels, more where they are few.
    """

    name: str
    file: str
    mappings: tuple[ColumnMapping, ...]
    epochs: float = 1.0

    def records(self, folder: Path) -> list[FeedbackRecord]:
        """Read the file."""
        path = folder / f"{self.file}.train.jsonl.gz"
        who = Annotator(id=self.file, kind="human")
        return [
            record
            for mapping in self.mappings
            for record in records_from_rows(read_rows(path), mapping, who)
        ]


_DIALOGUES = (ColumnMapping(kind="comparison"),)
_VOTES = (
    "prompt=instruction+input,first=response1,second=response2,label=annotator{0},annotator=={0}"
)
_PAIR = "prompt=question,first=prediction {},second=prediction {},label=preference.{}"
_PAIRS = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
_ERRORS = (
    "prompt=question,response=prediction 1,score==0,"
    "start=feedback.errors.*.start,end=feedback.errors.*.end"
)
_CORRECTED = "prompt=question,response=prediction 1,better=feedback.corrected-prediction"
_RATINGS = (
    "prompt=passage_id+question_text,response=systems.*.response,"
    "score=systems.*.reviews.*.overall-rating,annotator=systems.*.reviews.*.@"
)

DATA = (
    HumanData(name="HH helpful base", file="hh_rlhf_helpful_base", mappings=_DIALOGUES),
    HumanData(name="HH helpful online", file="hh_rlhf_helpful_online", mappings=_DIALOGUES),
    HumanData(
        name="HH rejection-sampled", file="hh_rlhf_helpful_rejection_sampled", mappings=_DIALOGUES
    ),
    HumanData(
        name="OASST",
        file="oasst_ranked_pairs",
        mappings=(
            ColumnMapping(
                kind="comparison", columns="prompt=history,chosen=chosen,rejected=rejected"
            ),
        ),
        epochs=3.0,
    ),
    HumanData(
        name="PandaLM, three votes",
        file="pandalm_human",
        mappings=tuple(
            ColumnMapping(kind="comparison", columns=_VOTES.format(i)) for i in (1, 2, 3)
        ),
        epochs=3.0,
    ),
    HumanData(
        name="VADER sentiment",
        file="vader_human_sentiment",
        mappings=(
            ColumnMapping(
                kind="score", columns="response=text,score=mean_sentiment", low=-4, high=4
            ),
        ),
        epochs=4.0,
    ),
    HumanData(
        name="SQuALITY ratings",
        file="squality_human_eval",
        mappings=(ColumnMapping(kind="score", columns=_RATINGS, high=100),),
        epochs=8.0,
    ),
    HumanData(
        name="FG-RLHF QA",
        file="fgrlhf_qa_feedback",
        mappings=(
            *(
                ColumnMapping(kind="comparison", columns=_PAIR.format(a, b, i))
                for i, (a, b) in enumerate(_PAIRS)
            ),
            ColumnMapping(kind="score", columns=_ERRORS),
            ColumnMapping(
                kind="score",
                columns="prompt=question,response=feedback.corrected-prediction,score==1",
            ),
            ColumnMapping(
                kind="correction",
                columns=_CORRECTED,
            ),
        ),
    ),
)
