"""Prompts with responses for supervised fine-tuning: from prompt sources, files and dialogues."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from textgym.types import Prompt

ASSISTANT_MARK = "\n\nAssistant:"
Row = Mapping[str, Any]
RenderChat = Callable[[Sequence[Mapping[str, str]]], str]

_HUMAN_ROLES = ("user", "human", "prompter")
_ASSISTANT_ROLES = ("assistant", "gpt", "chatbot")


@dataclass(frozen=True, kw_only=True)
class TextPair:
    """A prompt and a response that followed it.

    Attributes:
        prompt: Exactly what is tokenised as the prompt.
        response: Exactly what is tokenised after it (the space in front included); the end token
            is no part of it. Never empty.
    """

    prompt: str
    response: str

    def __post_init__(self) -> None:
        """Reject an empty response, which would teach to say nothing."""
        if not self.response.strip():
            raise ValueError(f"response must hold text, got {self.response!r} for {self.prompt!r}")


class Source(Protocol):
    """What is needed of a prompt source."""

    def __len__(self) -> int:
        """Return the number of prompts."""
        ...

    def __getitem__(self, prompt_id: int, /) -> Prompt:
        """Return one prompt."""
        ...


def pairs_from_prompts(source: Source, prompt_ids: Iterable[int] | None = None) -> list[TextPair]:
    """One pair per human reference of the given prompts (all prompts where None).

    Raises:
        ValueError: None of the prompts has a reference.
    """
    ids = range(len(source)) if prompt_ids is None else prompt_ids
    prompts = [source[i] for i in ids]
    pairs = [
        TextPair(prompt=prompt.text, response=spaced(prompt.text, reference))
        for prompt in prompts
        for reference in prompt.references
    ]
    if not pairs:
        raise ValueError(f"expected prompts with references, got none in {len(prompts)} prompts")
    return pairs


def load_text_pairs(
    dataset: str | Path,
    *,
    columns: str | None = None,
    template: str | None = None,
    render_chat: RenderChat | None = None,
) -> list[TextPair]:
    r"""Read pairs from a file, a folder of `datasets`, or `hf:org/name`.

    Without `columns` the format is recognised: rows with `prompt` and `response` (or
    `completion`); rows with `chosen` alone, a whole dialogue, which is cut behind its last
    "\n\nAssistant:"; rows with `messages`, whose last message is the response.

    Args:
        dataset: JSONL, JSONL.gz, a folder saved by `datasets`, or `hf:org/name[:split]`.
        columns: `"prompt=source,response=target"`. A column that holds a list of strings is
            joined with spaces for a prompt; each string of a response's list makes a pair.
        template: Text around the prompt, for example `"{prompt}\n\nTL;DR:"`.
        render_chat: Renders messages; the plain Human/Assistant form where None.

    Raises:
        ValueError: Unknown columns (the message lists those there are), or no rows.
    """
    mapping = parse_columns(columns, ("prompt", "response")) if columns else None
    pairs: list[TextPair] = []
    for number, row in enumerate(read_rows(dataset)):
        for prompt, response in _pairs_of(row, mapping, number, render_chat):
            prompt = template.replace("{prompt}", prompt) if template else prompt
            if response.strip():  # public files hold a few empty replies
                pairs.append(TextPair(prompt=prompt, response=spaced(prompt, response)))
    if not pairs:
        raise ValueError(f"expected prompts with responses, got none in {str(dataset)!r}")
    return pairs


def spaced(prompt: str, response: str) -> str:
    """Put one space before a response where neither side has white space at the seam."""
    seam = (prompt[-1:] or " ") + (response[:1] or " ")
    return response if seam[0].isspace() or seam[1].isspace() else " " + response


def split_dialogue(dialogue: str) -> tuple[str, str]:
    r"""Cut a whole dialogue behind its last "\n\nAssistant:"; the response keeps its space.

    Raises:
        ValueError: There is no assistant's turn.
    """
    cut = dialogue.rfind(ASSISTANT_MARK)
    if cut < 0:
        raise ValueError(f"expected a dialogue with {ASSISTANT_MARK!r}, got {dialogue[:80]!r}")
    cut += len(ASSISTANT_MARK)
    return dialogue[:cut], dialogue[cut:]


def render_messages(
    messages: Sequence[Mapping[str, str]], render_chat: RenderChat | None = None
) -> str:
    r"""Render the messages before a reply, ending where the assistant's reply begins.

    Args:
        messages: Dicts with `role` and `content` (or `text`).
        render_chat: A tokenizer's own chat template; None renders
            "\n\nHuman: …\n\nAssistant: …" as the HH dialogues do.

    Raises:
        ValueError: An unknown role.
    """
    plain = [{"role": _role(m), "content": message_text(m)} for m in messages]
    if render_chat is not None:
        return render_chat(plain)
    names = {"user": "Human", "assistant": "Assistant", "system": "System"}
    turns = (f"\n\n{names[m['role']]}: {m['content']}" for m in plain)
    return "".join(turns) + ASSISTANT_MARK


def message_text(message: Mapping[str, str]) -> str:
    """Return what a message says.

    Raises:
        ValueError: It has neither `content` nor `text`.
    """
    for name in ("content", "text", "value"):
        if isinstance(message.get(name), str):
            return message[name]
    raise ValueError(f"a message must have 'content' or 'text', got {sorted(message)!r}")


def parse_columns(columns: str, allowed: Sequence[str]) -> dict[str, str]:
    """Read `"prompt=source,response=target"` into a dict.

    Raises:
        ValueError: Not of this form, or a name on the left that is not allowed.
    """
    mapping: dict[str, str] = {}
    for part in columns.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or name not in allowed:
            raise ValueError(
                f"columns must look like 'name=column,…' with names among {list(allowed)!r}, "
                f"got {part!r} in {columns!r}"
            )
        mapping[name] = column
    return mapping


def field(row: Row, column: str, number: int) -> Any:
    """Return one column of a row.

    Raises:
        ValueError: The row has no such column; the message lists those there are.
    """
    if column not in row:
        raise ValueError(f"row {number} has no column {column!r}; it has {sorted(row)!r}")
    return row[column]


def read_rows(dataset: str | Path) -> Iterator[Row]:
    """Yield the rows of a JSONL or JSONL.gz file, or of anything that `datasets` opens.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A line that is not a JSON object, or a name that cannot be fetched.
    """
    name = str(dataset)
    path = Path(name)
    if name.startswith("hf:") or path.is_dir():
        yield from _datasets_rows(name)
    elif not path.is_file():
        raise FileNotFoundError(f"expected a data file, got {name!r}, which does not exist")
    elif path.suffix == ".gz" or path.suffix in (".jsonl", ".json"):
        yield from _json_rows(path)
    else:
        yield from _datasets_rows(name)


def _json_rows(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _json_object(line, path, number)


def _json_object(line: str, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{str(path)!r} line {number}: expected JSON, got {line[:60]!r}"
        ) from error
    if not isinstance(row, dict):
        raise ValueError(f"{str(path)!r} line {number}: expected an object, got {line[:60]!r}")
    return row


def _datasets_rows(name: str) -> Iterator[Row]:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"reading {name!r} needs `pip install textgym[data]`") from error
    try:
        yield from _open_datasets(datasets, name)
    except (OSError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(
            f"cannot load {name!r} ({type(error).__name__}: {error}); expected the name of a data "
            "set on the hub and a network, or a local file that `datasets` reads"
        ) from error


def _open_datasets(datasets: Any, name: str) -> Any:
    if name.startswith("hf:"):
        repository, _, split = name[3:].partition(":")
        return datasets.load_dataset(repository, split=split or "train")
    if Path(name).is_dir():
        return datasets.load_from_disk(name)
    builder = {".csv": "csv", ".parquet": "parquet", ".tsv": "csv"}.get(Path(name).suffix, "text")
    return datasets.load_dataset(builder, data_files=name, split="train")


def _pairs_of(
    row: Row, mapping: Mapping[str, str] | None, number: int, render_chat: RenderChat | None
) -> Iterator[tuple[str, str]]:
    mapping = mapping or _recognised(row, number)
    if "dialogue" in mapping:
        yield split_dialogue(row["chosen"])
        return
    if "messages" in mapping:
        messages = row["messages"]
        yield render_messages(messages[:-1], render_chat), message_text(messages[-1])
        return
    for name in ("prompt", "response"):
        if name not in mapping:
            raise ValueError(f"columns must name {name!r}, got {dict(mapping)!r}")
    prompt = _prompt_text(field(row, mapping["prompt"], number), render_chat)
    for response in _texts(field(row, mapping["response"], number)):
        yield prompt, response


def _recognised(row: Row, number: int) -> dict[str, str]:
    for response in ("response", "completion"):
        if "prompt" in row and response in row:
            return {"prompt": "prompt", "response": response}
    if isinstance(row.get("messages"), list):
        return {"messages": "messages"}
    if isinstance(row.get("chosen"), str):
        if "prompt" in row:
            return {"prompt": "prompt", "response": "chosen"}
        return {"dialogue": "chosen"}
    raise ValueError(
        f"row {number}: expected the columns 'prompt' and 'response', 'messages' or 'chosen', or "
        f"columns='prompt=…,response=…'; it has {sorted(row)!r}"
    )


def _prompt_text(value: Any, render_chat: RenderChat | None) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return render_messages(value, render_chat)
    return " ".join(_texts(value)) if isinstance(value, list) else str(value)


def _texts(value: Any) -> list[str]:
    """Return the texts of a string, a message, or a list of either."""
    if isinstance(value, Mapping):
        return [message_text(value)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]


def _role(message: Mapping[str, str]) -> str:
    role = message.get("role") or message.get("from")
    if role in _HUMAN_ROLES:
        return "user"
    if role in _ASSISTANT_ROLES:
        return "assistant"
    if role == "system":
        return "system"
    expected = (*_HUMAN_ROLES, *_ASSISTANT_ROLES, "system")
    raise ValueError(f"role must be one of {expected}, got {role!r}")
