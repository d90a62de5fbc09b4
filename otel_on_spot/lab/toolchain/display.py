"""How people see the builds: a live table on a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from otel_on_spot.lab.toolchain.board import ENDED, Board, Row

Display = Callable[[Board], AbstractContextManager[None]]
EVERY_SECONDS = 20.0
_STYLES = {
    "waiting": "dim",
    "downloading": "cyan",
    "building": "yellow",
    "done": "green",
    "failed": "bold red",
    "stopped": "red",
}


def duration(seconds: float) -> str:
    """Seconds as people read them: 8 s, 2 min 05 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def left(board: Board) -> str:
    """The estimate in words; rounded up to half minutes, because it is no better than that."""
    seconds = board.left_seconds()
    if seconds is None:
        return board.note or "nothing has begun"
    built = sum(row.state == "done" for row in board.rows.values())
    estimate = duration(30 * -(-seconds // 30)) if seconds > 1 else "0 s"
    return f"{built} of {len(board.rows)} tools built, about {estimate} left"


def table(board: Board) -> Table:
    """The rows as a table, with the estimate below."""
    drawn = Table(
        title="building the lab's tools (once)",
        caption=left(board),
        box=None,
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("tool", "version", "state", "elapsed", ""):
        drawn.add_column(heading, no_wrap=True, justify="right" if heading == "elapsed" else "left")
    for row in board.rows.values():
        elapsed = duration(board.elapsed(row)) if row.started is not None else ""
        drawn.add_row(
            row.name, row.version, Text(row.state, style=_STYLES[row.state]), elapsed, Text(row.detail, style="dim")
        )
    return drawn


def on_terminal(console: Console) -> Display:
    """A table that renews itself four times a second."""

    @contextmanager
    def display(board: Board) -> Generator[None]:
        with Live(get_renderable=lambda: table(board), console=console, refresh_per_second=4, transient=False):
            yield

    return display


def lines(write: Callable[[str], None], every_seconds: float = EVERY_SECONDS) -> Display:
    """Plain lines: while a tool is being built, one every 20 s at most, and one when it ends."""

    @contextmanager
    def display(board: Board) -> Generator[None]:
        last: dict[str, float] = {}
        told: set[str] = set()
        ended = threading.Event()

        def renew() -> None:
            now = board.clock()
            if board.note and board.note not in told:
                told.add(board.note)
                write(board.note)
            for row in board.rows.values():
                over = row.state in ENDED
                if row.name in told or row.state == "waiting":
                    continue
                if over or now - last.get(row.name, float("-inf")) >= every_seconds:
                    last[row.name] = now
                    told.update({row.name} if over else ())
                    write(_line(board, row))

        def watch() -> None:
            while not ended.wait(min(0.5, every_seconds)):
                renew()

        watcher = threading.Thread(target=watch, name="progress lines")
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            renew()

    return display


def _line(board: Board, row: Row) -> str:
    detail = f" ({row.detail})" if row.detail else ""
    return f"{row.name} {row.version}: {row.state}{detail}, {duration(board.elapsed(row))}; {left(board)}"


def to_stdout() -> Display:
    """The table where standard output is a terminal, else lines."""
    console = Console()
    return on_terminal(console) if console.is_terminal else lines(lambda text: print(text, flush=True))
