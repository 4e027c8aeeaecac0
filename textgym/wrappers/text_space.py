"""The space of any text up to a length, in any alphabet."""

from __future__ import annotations

import string
from typing import Any

from gymnasium import spaces

# A token of a large vocabulary may be a row of 128 spaces or dashes.
CHARACTERS_PER_TOKEN = 256


class AnyText(spaces.Text):
    """Texts of at most `max_length` characters; what it samples is plain ASCII.

    Gymnasium's own `Text` holds no character beyond a list of them, spaces and line ends included.
    """

    def __init__(self, max_tokens: int) -> None:
        """Make the space of what `max_tokens` tokens may say."""
        letters = string.ascii_letters + string.digits + string.punctuation + " "
        super().__init__(max_tokens * CHARACTERS_PER_TOKEN, min_length=0, charset=letters)

    def contains(self, x: Any) -> bool:
        """Return whether it is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length
