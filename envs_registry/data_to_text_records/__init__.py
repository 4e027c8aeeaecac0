"""The data of RLHF-DataToText-v0: records, human sentences and the hidden gold utility."""
