"""Names of functions."""

from __future__ import annotations

import json

import pytest

from textgym.callables import callable_name, is_callable_name, load_callable


def test_there_and_back() -> None:
    assert callable_name(json.dumps) == "json:dumps"
    assert load_callable("json:dumps") is json.dumps
    assert load_callable("json.decoder:JSONDecoder.decode") is json.JSONDecoder.decode
    assert callable_name("a:b") == "a:b"


def test_form() -> None:
    assert is_callable_name("a.b:c")
    for text in ("a", "a:b:c", "C:\\data.jsonl", "a/b:c", ":c", "a:", "1a:b"):
        assert not is_callable_name(text)


def test_errors_name_the_value() -> None:
    with pytest.raises(ValueError, match="'module:function', got 'json.dumps'"):
        load_callable("json.dumps")
    with pytest.raises(ValueError, match="cannot import the module of 'no_such_module:f'"):
        load_callable("no_such_module:f")
    with pytest.raises(ValueError, match="'json' has no 'dump_all'"):
        load_callable("json:dump_all")
    with pytest.raises(ValueError, match="something callable, got str"):
        load_callable("json:__name__")
    with pytest.raises(ValueError, match="top level of a module|at the top level"):
        callable_name(lambda: None)
