"""Streams of remarks: words, what they mean, who reads them how, the gold utility."""
