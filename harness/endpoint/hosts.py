"""The names of a lab in the form of /etc/hosts, for clients that cannot be given a name server."""

from harness.plan.topology import LabPlan


def hosts_text(plan: LabPlan) -> str:
    """Return a line for each node: address, full name, short name. SRV records have no place there."""
    lines = [f"# the lab {plan.name}: append to /etc/hosts, take away when the lab is gone"]
    lines += [f"{node.address}\t{node.fqdn} {node.name}" for node in plan.nodes]
    return "\n".join(lines) + "\n"
