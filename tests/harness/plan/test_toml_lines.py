"""Where in a TOML text a value stands."""

import pytest

from harness.plan.toml_lines import Path, line_of

TEXT = """\
title = "x"
[owner]
name.first = "y"

[[clusters]]      # the first
name = "a"
[[clusters.nodes]]
name = "a1"
[[clusters.nodes]]
name = "a2"
ports = { sip = 5070 }
[[clusters]]
nodes = [
  { name = "b1" },
]
[clusters.extra]
"quoted key" = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("owner", "name", "first"), 3),
        (("clusters", 0), 5),
        (("clusters", 0, "name"), 6),
        (("clusters", 0, "nodes", 0, "name"), 8),
        (("clusters", 0, "nodes", 1, "name"), 10),
        (("clusters", 0, "nodes", 1, "ports", "sip"), 11),
        (("clusters", 1), 12),
        (("clusters", 1, "nodes", 0, "name"), 13),
        (("clusters", 1, "extra", "quoted key"), 17),
        (("clusters", 1, "missing"), 12),
        (("nowhere",), None),
    ],
)
def test_a_path_is_found_at_its_line_or_at_the_nearest_one_around_it(path: Path, line: int | None) -> None:
    assert line_of(TEXT, path) == line
