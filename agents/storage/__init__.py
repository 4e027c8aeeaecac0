"""Saving and loading: verified folders of safetensors and JSON."""
