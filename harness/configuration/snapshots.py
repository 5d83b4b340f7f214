"""What a service starts with: settings and certificates of one moment, frozen, with digests of each topic."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from certs.credential import Credential
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, ServiceName, TrustStoreName
from harness.configuration.cluster_settings import CucmSettings, ImpSettings, SettingTopic, Topic, topics_of
from harness.plan.topology import ClusterPlan, CucmNodePlan, ImpNodePlan, NodePlan


class Settings(Protocol):
    """What the databases of both kinds of clusters say."""

    def topics(self) -> Mapping[SettingTopic, object]:
        """Return the settings by what takes effect as one."""
        ...


PlanT = TypeVar("PlanT", bound=NodePlan)
SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Generic[PlanT, SettingsT]):
    """What one service of one node starts with."""

    node: PlanT
    "The node."

    cluster: ClusterPlan
    "The node's cluster, for the names of its other nodes."

    settings: SettingsT
    "The cluster's settings."

    own: Mapping[CertificatePurpose, Credential] = field(repr=False)
    "The node's own certificates, those that the service shows."

    trust: Mapping[TrustStoreName, tuple[bytes, ...]] = field(repr=False)
    "The certificates in PEM of the trust stores that the service reads."

    digests: Mapping[str, str]
    "A digest of each topic that the service read, to see later whether it changed."


ImpSnapshot = Snapshot[ImpNodePlan, ImpSettings]
"What a service of an IM and Presence node starts with."

CucmSnapshot = Snapshot[CucmNodePlan, CucmSettings]
"What a service of a CUCM node starts with."


def take_snapshot(
    node: PlanT, cluster: ClusterPlan, service: ServiceName, settings: SettingsT, key_store: KeyStore
) -> Snapshot[PlanT, SettingsT]:
    """Take what a service reads when it starts.

    Raises CertificateError where one of its certificates is missing or damaged.
    """
    topics = topics_of(service)
    # Digests come first: what changes while we read is then seen as changed, and not missed.
    digests = present_digests(topics, settings, key_store)
    return Snapshot(
        node=node,
        cluster=cluster,
        settings=settings,
        own={
            purpose: key_store.own(purpose) for purpose in topics if isinstance(purpose, CertificatePurpose)
        },
        trust={
            store: tuple(certificate.pem for certificate in key_store.trust(store))
            for store in topics
            if isinstance(store, TrustStoreName)
        },
        digests=digests,
    )


def present_digests(topics: tuple[Topic, ...], settings: Settings, key_store: KeyStore) -> dict[str, str]:
    """Return a digest of each topic as it is now: equal digests mean that nothing changed."""
    values = settings.topics()
    digests: dict[str, str] = {}
    for topic in topics:
        if not isinstance(topic, SettingTopic):
            digests[topic.value] = key_store.digest(topic)
        elif topic in values:
            digests[topic.value] = hashlib.sha256(_canonical(values[topic]).encode()).hexdigest()
    return digests


def _canonical(value: object) -> str:
    """Write a value so that equal ones are written alike; `repr` orders no set."""
    if dataclasses.is_dataclass(value):
        inside = ", ".join(_canonical(getattr(value, each.name)) for each in dataclasses.fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_canonical, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_canonical, value)))}}}"
    return repr(value)
