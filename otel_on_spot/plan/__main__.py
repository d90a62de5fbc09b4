"""``python -m otel_on_spot.plan ROOT STACK [--policy]``: the plan of any tree as JSON, for ``plan --against``."""

import json
import sys
from pathlib import Path

from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import PlanError, record
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.program.stack_file import StackFileError
from otel_on_spot.project import selected


def main(root: Path, stack: str, *, judged: bool = False) -> int:
    """Print the document, judged by the policy rules where that is asked for.

    Returns:
        0; or 2, with one message on standard error, where the tree cannot be planned.
    """
    try:
        with selected(root):
            recording = record(stack, root=root)
            document = as_document(recording)
            if judged:
                from otel_on_spot.plan import verdict

                document["policy"] = verdict.as_document(verdict.verdict(recording))
    except (PlanError, ProgramError, StackFileError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except Exception as defect:  # noqa: BLE001 (whatever the other tree's program raises)
        print(f"its program failed: {type(defect).__name__}: {defect}", file=sys.stderr)
        return 2
    json.dump(document, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], judged="--policy" in sys.argv[3:]))
