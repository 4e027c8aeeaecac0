"""A run's folder: its files, the callbacks that fill it, its figures."""
