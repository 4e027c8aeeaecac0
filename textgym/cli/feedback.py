r"""Look after a store of human feedback: count, export, import, erase a person; test the critic.

STORE is a file (SQLite) or a URL (postgresql://USER@HOST/NAME; needs textgym[postgres]).

Examples:
  textgym feedback stats runs/feedback.db
  textgym feedback import runs/feedback.db pairs.jsonl --format preference --annotator lab-3
  textgym feedback import runs/feedback.db ratings.jsonl --format score --annotator lab-3 \
      --columns "prompt=question,response=answer,score=stars" --scale 1:5
  textgym feedback export runs/feedback.db labels.jsonl.gz
  textgym feedback export runs/feedback.db pairs.jsonl --format preference
  textgym feedback erase runs/feedback.db --annotator lab-3 --yes
  textgym feedback critic
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from inspect import cleandoc
from itertools import chain, islice
from pathlib import Path
from typing import Any

from textgym.callables import load_callable
from textgym.dataset_files import read_rows
from textgym.feedback.column_mapping import COLUMN_NAMES, ColumnMapping, records_from_rows
from textgym.feedback.record_json import read_jsonl, record_to_json, write_rows
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.responses import ANNOTATOR_KINDS, Annotator
from textgym.feedback.store import FeedbackStore
from textgym.feedback.taught_actions import taught_actions
from textgym.feedback.trl_formats import (
    comparisons_from_rows,
    preference_rows,
    scores_from_rows,
    supervised_rows,
    unpaired_rows,
)

Rows = Iterator[Mapping[str, Any]]
_IMPORTED_AT_ONCE = 10_000
_STORE_HELP = "file of SQLite, or postgresql://USER@HOST/NAME"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `textgym feedback`."""
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="textgym feedback"
    )
    _add_stats(commands)
    _add_export(commands)
    _add_import(commands)
    _add_erase(commands)
    _add_critic(commands)


def run(args: argparse.Namespace) -> int:
    """Run one of the sub-commands."""
    return _RUN[args.command](args)


def _add_stats(commands: Any) -> None:
    about = "Count records by kind and by who gave them."
    parser = commands.add_parser("stats", help="count what there is", description=cleandoc(about))
    parser.add_argument("store", help=_STORE_HELP)


def _add_export(commands: Any) -> None:
    about = "Write the store's records to a JSONL file; a name ending in .gz compresses."
    parser = commands.add_parser("export", help="write a JSONL file", description=cleandoc(about))
    parser.add_argument("store", help=_STORE_HELP)
    parser.add_argument("file", type=Path, help="file to write: .jsonl or .jsonl.gz")
    parser.add_argument(
        "--format",
        choices=("records", "preference", "unpaired", "supervised", "actions"),
        default="records",
        help="records: everything, as textgym reads it back; preference (prompt, chosen, "
        "rejected), unpaired (prompt, completion, label) and supervised (prompt, completion): as "
        "TRL reads it; actions (seen, action): demonstrations and corrections, action by action "
        "[records]",
    )
    parser.add_argument(
        "--conversational", action="store_true", help="lists of messages instead of text"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="NUMBER",
        help="unpaired: the label is true for scores of at least this [0.5]",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also what a later record corrects; always so for --format records",
    )


def _add_import(commands: Any) -> None:
    about = """Add the records of a file to the store; made where there is none.

    Importing a file twice changes nothing, and what was erased stays erased. Files of other kinds
    than an export do not say who judged: --annotator does.

    Any file of rows can be read by naming its columns: `name=path,name=path`. A path goes into
    nested data by dots (`feedback.note`, `votes.0`) and through all entries by `*`; `a+b` joins
    texts, `=1` is the value 1 itself, and `@` at a path's end is the key that its last `*` stands
    for. --columns may be given several times. Names by format, besides prompt, annotator and
    subset:

      comparison     chosen, rejected; or first, second, label (1, 2, 0 for a tie); strength
      score          response, score; start, end of the part (characters)
      language       response, words; start, end
      ranking        response, rank (each a path with `*`)
      demonstration  response
      correction     response, better
    """
    parser = commands.add_parser(
        "import", help="add the records of a file", description=cleandoc(about)
    )
    parser.add_argument("store", help=_STORE_HELP)
    parser.add_argument("file", help="JSONL, JSONL.gz; TRL's formats also from `datasets`")
    parser.add_argument(
        "--format",
        choices=("records", "preference", "unpaired", *COLUMN_NAMES),
        default="records",
        help="records: as exported; preference and unpaired: as TRL's data sets; else the kind of "
        "record that --columns describes [records]",
    )
    parser.add_argument(
        "--columns",
        metavar="NAMES",
        action="append",
        default=[],
        help='for example "prompt=question,first=a,second=b,label=vote"; not needed for '
        "comparisons in whole dialogues or in columns prompt, chosen, rejected",
    )
    parser.add_argument(
        "--scale",
        metavar="LOW:HIGH",
        default="0:1",
        help="worst and best number of the file's scores [0:1]",
    )
    parser.add_argument("--annotator", metavar="ID", help="pseudonym of who judged")
    parser.add_argument(
        "--annotator-kind",
        choices=ANNOTATOR_KINDS,
        default="human",
        help="what sort of annotator that is [human]",
    )


def _add_erase(commands: Any) -> None:
    about = """Remove a person's records, or single ones, for good.

    The content goes, out of the database's files too; a tombstone stays (position, record id,
    kind, query id, time) that keeps an import from bringing it back. Readers of the store are told
    which positions went. Exports, backups, checkpoints and models that were made before are out
    of reach: delete or make them again. Without --yes, only says what would be erased.
    """
    parser = commands.add_parser(
        "erase", help="remove a person's records", description=cleandoc(about)
    )
    parser.add_argument("store", help=_STORE_HELP)
    parser.add_argument("--annotator", metavar="ID", help="erase all that this annotator gave")
    parser.add_argument(
        "--record", metavar="ID", action="append", default=[], help="erase one record; repeatable"
    )
    parser.add_argument("--reason", default="", help="kept with the tombstones")
    parser.add_argument("--yes", action="store_true", help="erase; cannot be undone")


def _add_critic(commands: Any) -> None:
    about = """Say how well the critic turns a teacher's words into numbers.

    On the rubric's phrasings that it learned from and on those that it never saw; with --reviews
    and --rated also on human data. Each figure with its 95 % interval.
    """
    parser = commands.add_parser(
        "critic", help="test the critic of words", description=cleandoc(about)
    )
    parser.add_argument(
        "--reviews",
        metavar="FILE",
        help="SQuALITY's human evaluation: its part ratings are put into words, from which the "
        "overall rating is predicted",
    )
    parser.add_argument(
        "--rated", metavar="FILE", help="people's own words with a rating each (JSONL, JSONL.gz)"
    )
    parser.add_argument("--text-column", default="text", help="of --rated [text]")
    parser.add_argument("--rating-column", default="rating", help="of --rated [rating]")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn [0]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")


def _critic(args: argparse.Namespace) -> int:
    # By name: its intervals come with the agents, which load torch.
    return int(load_callable("textgym.cli.feedback_critic:run")(args))


def _stats(args: argparse.Namespace) -> int:
    with FeedbackStore(args.store, create=False) as store:
        found = store.statistics()
    lines = [("records", found.records)]
    lines += [(f"  {kind}", number) for kind, number in found.by_kind.items()]
    lines += [(f"by {kind} annotators", n) for kind, n in found.by_annotator_kind.items()]
    lines += [("annotators", found.annotators)]
    lines += [("corrected since", found.revised), ("erased", found.erased)]
    sys.stdout.write("".join(f"{name:28} {number}\n" for name, number in lines))
    return 0


def _export(args: argparse.Namespace) -> int:
    writers: dict[str, Callable[[Iterable[FeedbackRecord]], Rows]] = {
        "records": lambda records: map(record_to_json, records),
        "preference": lambda r: preference_rows(r, conversational=args.conversational),
        "unpaired": lambda r: unpaired_rows(
            r, threshold=args.threshold, conversational=args.conversational
        ),
        "supervised": lambda r: supervised_rows(r, conversational=args.conversational),
        "actions": lambda r: map(asdict, taught_actions(r)),
    }
    with FeedbackStore(args.store, create=False) as store:
        is_all = args.all or args.format == "records"
        stored = store.iterate() if is_all else store.current()
        count = write_rows(args.file, writers[args.format](item.record for item in stored))
    sys.stdout.write(f"{count} rows written to {args.file}\n")
    return 0


def _import(args: argparse.Namespace) -> int:
    records = _records_of(args)
    written = duplicates = erased = 0
    with FeedbackStore(args.store) as store:
        while part := list(islice(records, _IMPORTED_AT_ONCE)):
            result = store.append(part)
            written += result.written
            duplicates += result.duplicates
            erased += result.erased
    sys.stdout.write(
        f"{written} records added, {duplicates} were there already, {erased} were erased before\n"
    )
    return 0


def _records_of(args: argparse.Namespace) -> Iterator[FeedbackRecord]:
    if args.columns and args.format not in COLUMN_NAMES:
        raise ValueError(f"--columns needs --format {'|'.join(COLUMN_NAMES)}, got {args.format!r}")
    if args.format == "records":
        if args.annotator:
            raise ValueError("records say themselves who judged; leave --annotator out")
        return read_jsonl(args.file)
    if not args.annotator:
        raise ValueError(f"--format {args.format} needs --annotator: who judged?")
    annotator = Annotator(id=args.annotator, kind=args.annotator_kind)
    if args.format == "preference":
        return comparisons_from_rows(read_rows(args.file), annotator)
    if args.format == "unpaired":
        return scores_from_rows(read_rows(args.file), annotator)
    low, high = _scale(args.scale)
    mappings = [
        ColumnMapping(kind=args.format, columns=columns, low=low, high=high)
        for columns in args.columns or [""]
    ]
    return chain.from_iterable(
        records_from_rows(read_rows(args.file), mapping, annotator) for mapping in mappings
    )


def _scale(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise ValueError(f"--scale must be LOW:HIGH, such as 1:5, got {text!r}") from None
    return low, high


def _erase(args: argparse.Namespace) -> int:
    with FeedbackStore(args.store, create=False) as store:
        if not args.yes:
            count = store.count_erasable(annotator_id=args.annotator, record_ids=args.record)
            sys.stdout.write(f"{count} records would be erased; --yes erases them for good\n")
            return 0
        erasure = store.erase(
            annotator_id=args.annotator, record_ids=args.record, reason=args.reason
        )
    sys.stdout.write(f"{erasure.erased} records erased\n")
    if not erasure.is_scrubbed:
        sys.stderr.write(
            "textgym feedback: warning: another process kept the bytes from leaving the "
            "database's files; erase again when it has ended\n"
        )
    return 0


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "stats": _stats,
    "export": _export,
    "import": _import,
    "erase": _erase,
    "critic": _critic,
}
