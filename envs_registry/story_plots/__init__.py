"""The data of RLHF-Story-v0: openings with constraints, human stories and the gold utility."""
