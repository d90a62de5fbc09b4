"""What ``recover`` is made of: the engine's commands, its state, and where the things of a pending create are found."""
