"""Sentences with named entities: words, templates, how people tag them, the gold utility."""
