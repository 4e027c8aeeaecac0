"""Names of user functions: `"module:function"` strings, so that every setting is a plain string."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_callable_name(text: str) -> bool:
    """Return whether `text` has the form `"module:function"`."""
    return _PATTERN.fullmatch(text) is not None


def load_callable(name: str) -> Callable[..., Any]:
    """Return the function, class or object that `"module:function"` names.

    Raises:
        ValueError: The form is wrong, the module cannot be imported, it lacks the function, or
            what it holds cannot be called.
    """
    if not is_callable_name(name):
        raise ValueError(f"expected the form 'module:function', got {name!r}")
    module_name, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"cannot import the module of {name!r}: {error}") from error
    for part in qualname.split("."):
        if part not in dir(found):
            raise ValueError(f"{name!r}: {module_name!r} has no {qualname!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{name!r} must name something callable, got {type(found).__name__}")
    return found


def callable_name(function: Callable[..., Any] | str) -> str:
    """Return the `"module:function"` name by which another process finds `function` again.

    Raises:
        ValueError: A lambda, a function defined inside another, or an object without a name.
    """
    if isinstance(function, str):
        return function
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if module is None or qualname is None:
        raise ValueError(f"expected a function or a 'module:function' string, got {function!r}")
    if "<" in qualname:
        raise ValueError(
            f"{qualname!r} of module {module!r} has no name of its own; expected a function "
            f"defined with `def` at the top level of a module, so that 'module:function' finds it"
        )
    return f"{module}:{qualname}"
