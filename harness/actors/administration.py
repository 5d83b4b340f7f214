"""The administrator of scenarios: a session at a node's API, over https as every other program's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from certs.purposes import CertificatePurpose
from harness.access.accounts import ADMINISTRATOR
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.web.client import AdministrationClient, trust_certificates


@asynccontextmanager
async def administrator(
    lab: Lab, node: ImpNode | CucmNode, *, user: str = ADMINISTRATOR, password: str = ""
) -> AsyncIterator[AdministrationClient]:
    """Log in at a node whose `tomcat` certificate somebody gave us; by default as the lab's administrator.

    Raises AdministrationRefused where the node lets nobody in with these.
    """
    async with visitor(node) as client:
        await client.log_in(user, password or lab.administrator_password)
        yield client


@asynccontextmanager
async def visitor(node: ImpNode | CucmNode) -> AsyncIterator[AdministrationClient]:
    """Reach a node's API without a session."""
    pem = node.administration.certificate_management.download(CertificatePurpose.TOMCAT)
    url = f"https://{node.plan.address}:{node.plan.ports.tomcat}"
    async with AdministrationClient(url, trust_certificates(pem)) as client:
        yield client
