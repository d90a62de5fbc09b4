"""``drill restore-data``: restores a database's volume from a snapshot beside it, and moves it to another node."""
