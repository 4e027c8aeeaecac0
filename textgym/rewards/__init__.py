"""Reward functions: a batch of finished episodes in, one score each out."""
