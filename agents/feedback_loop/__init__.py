"""Collect, ask, learn the reward, improve the policy, and again: on a budget."""
