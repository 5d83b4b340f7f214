"""The worker process of a node: `python -m harness.processes`, with its order on the standard input."""

import sys

from certs.fips.mode import settle_openssl

settle_openssl()  # before anything that carries an OpenSSL of its own

from harness.garbage import collect_seldom  # noqa: E402

collect_seldom()

from harness.processes.worker import run_worker  # noqa: E402

sys.exit(run_worker())
