"""The worker process of a node: `python -m harness.processes`, with its order on the standard input."""

import sys

from harness.processes.worker import run_worker

sys.exit(run_worker())
