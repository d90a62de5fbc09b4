"""Health checks of the lab's processes."""

import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path


def http_ok(url: str, ca: Path | None = None) -> bool:
    """True where a GET is answered with 200."""
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
    )
    try:
        with opener.open(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def tcp_open(host: str, port: int) -> bool:
    """True where a port accepts connections."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
