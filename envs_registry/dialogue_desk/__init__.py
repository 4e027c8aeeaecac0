"""The service desk of RLHF-Dialogue-v0: needs, words, the customer and people who served them."""
