"""Rollouts: how an agent plays a text environment and what it keeps of it."""
