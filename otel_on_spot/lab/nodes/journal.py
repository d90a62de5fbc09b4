"""Journal of every instance, as JSON lines that tests and the doctor read."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

FILE = "nodes.jsonl"
Event = Literal["joined", "refused", "left", "ran"]


class Journal:
    """Appends to ``nodes.jsonl``; threads may share one.

    A line has ``time`` (seconds since 1970), ``event``, ``instance``, ``role`` (ARN), ``node``; of a refusal also
    ``status`` (HTTP, 0 where nothing answered), ``message`` and ``attempt``; of a joining also ``seconds`` since
    the instance was seen.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self._lock = threading.Lock()

    def write(self, event: Event, **facts: Any) -> None:
        """Append one line."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **facts})
        with self._lock, self.file.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def read(folder: Path, event: Event | None = None) -> Iterator[dict[str, Any]]:
    """The lines so far, oldest first, or those of one event."""
    file = folder / FILE
    for line in file.read_text().splitlines() if file.exists() else ():
        row = json.loads(line)
        if event in (None, row["event"]):
            yield row
