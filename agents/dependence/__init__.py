"""Dependence: how able an agent looks to its teacher, and how able it is alone."""
