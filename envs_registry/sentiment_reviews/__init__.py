"""The data of RLHF-Sentiment-v0: reviews, people who continue them and the hidden gold utility."""
