"""Where a model or tokenizer comes from: a local folder or a hub name. Loads nothing itself."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_local_only(path: str, what: str) -> bool:
    """Tell whether only local files may be used: for a folder, and where no hub answers.

    Asking first spares the user a minute of retries by the hub's client.

    Args:
        path: A folder or a hub name.
        what: What is being loaded, for the message.

    Raises:
        ValueError: Neither an existing folder nor something that could be a hub name.
    """
    if path and Path(path).is_dir():
        return True
    if not _HUB_NAME.fullmatch(path):
        raise ValueError(
            f"cannot load a {what} from {path!r}: no such folder; expected an existing local "
            f"folder or a hub name such as 'organisation/name'"
        )
    return not _hub_is_reachable()


def cannot_load(path: str, what: str, error: Exception) -> ValueError:
    """Return the error for a source that could not be loaded, with the reason in one line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ValueError(
        f"cannot load a {what} from {path!r} ({reason}); expected a local folder that holds one, "
        f"or a hub name and a network: without a network, download it elsewhere and pass the "
        f"folder's path"
    )


def _hub_is_reachable() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return False
    if getproxies():  # the proxy resolves names, this machine may be unable to
        return True
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        socket.getaddrinfo(urlsplit(endpoint).hostname, 443)
    except OSError:
        return False
    return True
