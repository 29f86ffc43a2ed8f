"""A contestant in a process of its own, which answers one question at a time.

TensorFlow and OpenVINO do not share a process here, as each has threads for every core. A worker
that is not asked waits for a line and uses no processor.

    python -m tests.benchmarks.worker keras|featx|timm
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_SIDES = {
    "keras": ".keras_side:KerasSide",
    "featx": ".featx_side:FeatxSide",
    "timm": ".timm_side:TimmSide",
}


class Worker:
    """A process that holds one side of the comparison.

    Parameters
    ----------
    side : {"keras", "featx", "timm"}
        Which.
    environment : dict of str to str
        Its environment variables.
    """

    def __init__(self, side: str, environment: dict[str, str]) -> None:
        self.side = side
        self.processor_seconds = 0.0  # of the last answer, of all its threads
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
        )

    def ask(self, question: str, **arguments: Any) -> Any:
        """Call a method of the side and return what it returns.

        Raises
        ------
        RuntimeError
            It failed there; the message holds its traceback.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([question, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.side} worker ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the {self.side} worker failed:\n{answer['error']}")
        self.processor_seconds = answer["processor_seconds"]
        return answer["result"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()


def _serve(side: Any) -> None:
    """Answer the questions on stdin, one JSON line each, until it is closed."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        question, arguments = json.loads(line)
        start = time.process_time()
        try:
            result = getattr(side, question)(**arguments)
            answer = {"result": result, "processor_seconds": time.process_time() - start}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # that weights are random is in the report
    module, name = _SIDES[sys.argv[1]].split(":")
    _serve(getattr(import_module(module, __package__), name)())
