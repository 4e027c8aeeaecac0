"""Supervised learning: fine-tuning on responses, reward models from comparisons, their data."""
