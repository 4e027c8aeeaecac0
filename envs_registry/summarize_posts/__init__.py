"""The data of RLHF-Summarize-v0: posts, human summaries and the hidden gold utility."""
