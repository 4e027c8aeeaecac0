"""The data of RLHF-Translate-v0: a synchronous grammar, human translations and the gold."""
