"""Lab files for the tests."""

SMALL = """\
name = "small"
domain = "lab.example"

[[clusters]]
name = "imp"
kind = "imp"

[[clusters.nodes]]
name = "imp1"

[[clusters.nodes]]
name = "imp2"
address = "127.20.0.20"

[[clusters]]
name = "cucm"
kind = "cucm"
nodes = [{ name = "cucm1" }]
lines = ["1001"]

[[users]]
user_id = "alice"
home_node = "imp1"
"""
