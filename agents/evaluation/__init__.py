"""Evaluation on held-out prompts: measures, judges, before and after."""
