"""Chats as text: messages rendered, whole dialogues cut before the last reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

Messages = Sequence[Mapping[str, str]]
RenderChat = Callable[[Messages], str]

ASSISTANT_MARK = "\n\nAssistant:"
_HUMAN_ROLES = ("user", "human", "prompter")
_ASSISTANT_ROLES = ("assistant", "gpt", "chatbot")
_NAMES = {"user": "Human", "assistant": "Assistant", "system": "System"}
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def split_dialogue(dialogue: str, render_chat: RenderChat | None = None) -> tuple[str, str]:
    r"""Cut a whole dialogue behind its last "\n\nAssistant:"; the reply keeps its space.

    With `render_chat` the turns before the reply are rendered by it, and the reply loses the space
    around it.

    Raises:
        ValueError: There is no assistant's turn.
    """
    cut = dialogue.rfind(ASSISTANT_MARK)
    if cut < 0:
        raise ValueError(f"expected a dialogue with {ASSISTANT_MARK!r}, got {dialogue[:80]!r}")
    cut += len(ASSISTANT_MARK)
    prompt, reply = dialogue[:cut], dialogue[cut:]
    if render_chat is None:
        return prompt, reply
    return render_dialogue(prompt, render_chat), reply.strip()


def render_dialogue(prompt: str, render_chat: RenderChat) -> str:
    r"""Render a dialogue that ends in "\n\nAssistant:" by a tokenizer's own chat template."""
    return render_chat(dialogue_messages(prompt)[:-1])


def dialogue_messages(dialogue: str) -> list[dict[str, str]]:
    """Read a written dialogue as messages; text before the first turn becomes the system's."""
    opening, *rest = _TURN.split(dialogue)
    turns = [
        {"role": _ROLES[name], "content": text.strip()}
        for name, text in zip(rest[::2], rest[1::2], strict=True)
    ]
    system = [{"role": "system", "content": opening.strip()}] if opening.strip() else []
    return [*system, *turns]


def render_messages(messages: Messages, render_chat: RenderChat | None = None) -> str:
    r"""Render the messages before a reply, ending where the assistant's reply begins.

    Args:
        messages: Mappings with `role` and `content` (or `text`, or `from` and `value`).
        render_chat: A tokenizer's own chat template; None renders
            "\n\nHuman: …\n\nAssistant: …" as the HH dialogues do.

    Raises:
        ValueError: An unknown role, or a message without text.
    """
    plain = plain_messages(messages)
    if render_chat is not None:
        return render_chat(plain)
    turns = (f"\n\n{_NAMES[m['role']]}: {m['content']}" for m in plain)
    return "".join(turns) + ASSISTANT_MARK


def plain_messages(messages: Messages) -> list[dict[str, str]]:
    """Return messages with the keys `role` (user, assistant or system) and `content` only.

    Raises:
        ValueError: An unknown role, or a message without text.
    """
    return [{"role": _role(m), "content": message_text(m)} for m in messages]


def visible_messages(messages: Messages, shown: str) -> list[dict[str, str]]:
    """Return what can still be read of a conversation whose rendering was cut from the left.

    Args:
        messages: `role` and `content` each.
        shown: What is left of the rendering, marks of its template included.

    Returns:
        The last messages from a user's (or the system's) on, the first of them without the
        beginning that was cut; possibly none.
    """
    kept: list[dict[str, str]] = []
    end = len(shown)
    for message in reversed(messages):
        content = message["content"].strip()
        places = list(re.finditer(rf"(?<!\w){re.escape(content)}(?!\w)", shown[:end]))
        seen = content if places else _ending_in_front(content, shown[:end])
        if seen:
            kept.insert(0, {**message, "content": seen})
        if not places:
            break
        end = places[-1].start()
    # Many templates refuse a conversation that the assistant begins.
    first = next((i for i, m in enumerate(kept) if m["role"] != "assistant"), len(kept))
    return kept[first:]


def _ending_in_front(content: str, shown: str) -> str:
    """Return the longest ending of `content` that `shown` begins with, whole words only."""
    shown = shown.lstrip()
    for length in range(min(len(content), len(shown)), 0, -1):
        if shown.startswith(content[-length:]) and not shown[length : length + 1].isalnum():
            return content[-length:].strip()
    return ""


def message_text(message: Mapping[str, str]) -> str:
    """Return what a message says.

    Raises:
        ValueError: It has none of `content`, `text` and `value`.
    """
    for name in ("content", "text", "value"):
        if isinstance(message.get(name), str):
            return message[name]
    raise ValueError(f"a message must have 'content' or 'text', got {sorted(message)}")


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
