"""The loader of the stack's configuration: text in, frozen and checked plain values out.

Nothing else in the program reads ``pulumi.Config``. ``load()`` finds every problem before the first
resource is declared and reports all of them in one message.
"""

from infra.settings.loader import load, parse
from infra.settings.models import Settings

__all__ = ["Settings", "load", "parse"]
