"""``recover``: the engine's commands, its state, and the search for the things of a pending create."""
