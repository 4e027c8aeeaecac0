"""The models that an environment brings along, and how they are built."""
