"""What a node's Cisco Tomcat serves, in one place: a new web application is added here."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from harness.web.api.interface import ApiInterface
from harness.web.page import Interface
from harness.web.pages.cucm_administration import CucmAdministrationPages
from harness.web.pages.disaster_recovery import DisasterRecoveryPages
from harness.web.pages.imp_administration import ImpAdministrationPages
from harness.web.pages.os_administration import OsAdministrationPages
from harness.web.pages.reporting import ReportingPages
from harness.web.pages.serviceability import ServiceabilityPages
from harness.web.pages.user_options import UserOptionsPages
from harness.web.sessions import Sessions
from harness.web.site import Site
from proxies.http.tomcat import WebApplication

if TYPE_CHECKING:
    from harness.nodes.node import CucmNode, ImpNode
    from harness.web.api.operation import Operation

IMP_PRODUCT: Final = "Cisco Unified Communications Manager IM and Presence Service"
CUCM_PRODUCT: Final = "Cisco Unified Communications Manager"


def applications_of_imp(node: "ImpNode") -> tuple[WebApplication, ...]:
    """Return what the Cisco Tomcat of an IM and Presence node serves: the six interfaces of G01."""
    interfaces = (
        ImpAdministrationPages(node, "Cisco Unified CM IM and Presence Administration").interface(),
        OsAdministrationPages(node, "Cisco Unified IM and Presence OS Administration").interface(),
        ServiceabilityPages(node, "Cisco Unified IM and Presence Serviceability").interface(),
        ReportingPages(node, "Cisco Unified IM and Presence Reporting").interface(),
        DisasterRecoveryPages(node, "IM and Presence Disaster Recovery System").interface(),
        UserOptionsPages(node, "Cisco Unified CM IM and Presence User Options").interface(),
    )

    def operations(sessions: Sessions) -> "tuple[Operation, ...]":
        from harness.web.api.common import CommonOperations
        from harness.web.api.imp import ImpOperations
        from harness.web.api.intercluster import InterclusterOperations

        common = CommonOperations(node, IMP_PRODUCT, sessions).operations()
        own = ImpOperations(node).operations()
        return (*common, *own, *InterclusterOperations(node).operations())

    return _applications(node, IMP_PRODUCT, interfaces, operations)


def applications_of_cucm(node: "CucmNode") -> tuple[WebApplication, ...]:
    """Return what the Cisco Tomcat of a CUCM node serves."""
    interfaces = (
        CucmAdministrationPages(node, "Cisco Unified CM Administration").interface(),
        OsAdministrationPages(node, "Cisco Unified OS Administration").interface(),
        ServiceabilityPages(node, "Cisco Unified Serviceability").interface(),
        ReportingPages(node, "Cisco Unified Reporting").interface(),
        DisasterRecoveryPages(node, "Disaster Recovery System").interface(),
    )

    def operations(sessions: Sessions) -> "tuple[Operation, ...]":
        from harness.web.api.common import CommonOperations
        from harness.web.api.cucm import CucmOperations

        common = CommonOperations(node, CUCM_PRODUCT, sessions).operations()
        return (*common, *CucmOperations(node).operations())

    return _applications(node, CUCM_PRODUCT, interfaces, operations)


def _applications(
    node: "ImpNode | CucmNode",
    product: str,
    interfaces: tuple[Interface, ...],
    operations: "Callable[[Sessions], tuple[Operation, ...]]",
) -> tuple[WebApplication, ...]:
    sessions = Sessions(node.surroundings.clock)
    return (
        Site(node, product=product, interfaces=interfaces, sessions=sessions, observer=node.handshakes),
        ApiInterface(node, product=product, sessions=sessions, operations=partial(operations, sessions)),
    )
