"""A test's lab as the variables of `imp-harness env`, for a client in a process of its own."""

from harness.endpoint.description import CertificateFiles, NodeDescription, UserDescription
from harness.endpoint.table import endpoints
from harness.endpoint.variables import client_variables
from harness.pytest_plugin.background import BackgroundLab


async def describe_for_client(background: BackgroundLab) -> dict[str, str]:
    """Return the variables; to be run on the lab's loop."""
    lab = background.lab
    users = []
    for user_id in lab.user_ids:
        user = await lab.user(user_id)
        users.append(
            UserDescription(
                user_id=user_id,
                jid=f"{user_id}@{lab.node(user.home_node).plan.domain}",
                home_node=user.home_node,
                password=user.digest_password,
            )
        )
    nodes = [
        NodeDescription(
            name=node.name,
            fqdn=node.fqdn,
            kind=cluster.kind,
            cluster=cluster.name,
            domain=cluster.domain,
            address=node.address,
        )
        for cluster in lab.plan.clusters
        for node in cluster.nodes
    ]
    files = background.clients
    certificates = None
    if files is not None:
        certificates = CertificateFiles(trust=files.trust, client=files.good, stranger=files.stranger)
    domain = next((node.domain for node in nodes if node.kind == "imp"), nodes[0].domain)
    return client_variables(domain, nodes, endpoints(lab.plan), users, certificates)
