"""`python -m melodygru.training.rivals FOLDER NAME`: the process of one model; a JSON document a line on stdout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from melodygru.errors import MelodyGruError


def main(folder: str, name: str) -> None:
    """Run a model of the job in `folder`, reporting how it goes and what came out."""
    # Only our lines reach the parent: what libraries print goes where their warnings go.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def report(values: dict[str, Any]) -> None:
        lines.write(json.dumps(values) + "\n")
        lines.flush()

    from melodygru.training.rivals import contestant  # TensorFlow's import may print

    try:
        report({"result": contestant.run(Path(folder), name, report).as_dict()})
    except MelodyGruError as error:
        report({"error": str(error)})
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
