"""The one door: the stack's configuration in, frozen and checked plain values out.

Nothing else in the program reads ``pulumi.Config``. ``Settings.load()`` finds every problem before the first
resource is declared and reports all of them in one message.
"""

from infra.settings.door import load, parse
from infra.settings.models import Settings

__all__ = ["Settings", "load", "parse"]
