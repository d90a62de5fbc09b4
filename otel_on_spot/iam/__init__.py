"""AWS Identity and Access Management: what its policies decide, and what each call asks of them.

- ``policies``: documents, statements, and whether policies of one kind allow a request (``conditions`` are its part).
- ``decisions``: whether a caller may make a request, by every policy that has a say.
- ``actions``: which resources a call names and which condition keys it carries, by AWS's own reference.
"""

from otel_on_spot.iam.policies import (
    EVENTS,
    Decision,
    Document,
    Outcome,
    allows,
    document,
    may_send,
    statements,
    tags_of,
)

__all__ = ["EVENTS", "Decision", "Document", "Outcome", "allows", "document", "may_send", "statements", "tags_of"]
