"""The data of RLHF-QA-v0: passages with questions, human answers and the hidden gold utility."""
