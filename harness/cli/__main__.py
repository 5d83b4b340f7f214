"""`python -m harness.cli` is `imp-harness`."""

from harness.cli import main

main()
