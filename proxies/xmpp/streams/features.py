"""Stream features: what the receiving entity offers, in the order it should be taken up (RFC 6120 4.3.2)."""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from proxies.xmpp import namespaces as ns
from proxies.xmpp.stanza import Nonza, encode_element


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFeatures:
    """One offer. Without any field set it is the empty one that ends negotiation."""

    starttls: bool = False
    "Whether TLS can be negotiated (RFC 6120 5.4.1)."

    tls_required: bool = False
    "Whether it must be."

    mechanisms: tuple[str, ...] = ()
    "SASL mechanisms, the preferred one first (RFC 6120 6.4.1)."

    channel_bindings: tuple[str, ...] = ()
    "Channel binding types for the mechanisms whose names end in -PLUS (XEP-0440)."

    dialback: bool = False
    "Whether dialback is there (XEP-0220 2.4.2)."

    bind: bool = False
    "Whether a resource must be bound (RFC 6120 7.4)."

    session: bool = False
    "Whether old clients find the session that they ask for; optional, it does nothing (RFC 6121 1.4)."

    stream_management: bool = False
    "Whether stanzas can be acknowledged (XEP-0198 2)."

    others: tuple[bytes, ...] = ()
    "What instant messaging offers beside these, as encoded elements."

    @classmethod
    def parse(cls, nonza: Nonza) -> "StreamFeatures":
        """Return what `<stream:features/>` says; what nobody here knows is left out."""
        tree = nonza.element()
        starttls = tree.find(f"{{{ns.TLS}}}starttls")
        mechanisms = tree.findall(f"{{{ns.SASL}}}mechanisms/{{{ns.SASL}}}mechanism")
        bindings = tree.findall(
            f"{{{ns.SASL_CHANNEL_BINDING}}}sasl-channel-binding/{{{ns.SASL_CHANNEL_BINDING}}}channel-binding"
        )
        return cls(
            starttls=starttls is not None,
            tls_required=starttls is not None and starttls.find(f"{{{ns.TLS}}}required") is not None,
            mechanisms=tuple((each.text or "").strip() for each in mechanisms),
            channel_bindings=tuple(each.get("type", "") for each in bindings),
            dialback=(ns.DIALBACK_FEATURE, "dialback") in nonza.children,
            bind=(ns.BIND, "bind") in nonza.children,
            session=(ns.SESSION, "session") in nonza.children,
            stream_management=(ns.STREAM_MANAGEMENT, "sm") in nonza.children,
        )

    def encode(self) -> bytes:
        """Return what lies between the tags of `<stream:features/>`."""
        return b"".join((*(encode_element(element) for element in self._elements()), *self.others))

    def _elements(self) -> list[ET.Element]:
        elements = []
        if self.starttls:
            elements.append(_element(ns.TLS, "starttls"))
            if self.tls_required:
                ET.SubElement(elements[-1], f"{{{ns.TLS}}}required")
        if self.mechanisms:
            elements.append(_element(ns.SASL, "mechanisms"))
            for mechanism in self.mechanisms:
                ET.SubElement(elements[-1], f"{{{ns.SASL}}}mechanism").text = mechanism
        if self.channel_bindings:
            elements.append(_element(ns.SASL_CHANNEL_BINDING, "sasl-channel-binding"))
            for binding in self.channel_bindings:
                ET.SubElement(elements[-1], f"{{{ns.SASL_CHANNEL_BINDING}}}channel-binding", type=binding)
        if self.dialback:
            elements.append(_element(ns.DIALBACK_FEATURE, "dialback"))
            ET.SubElement(elements[-1], f"{{{ns.DIALBACK_FEATURE}}}errors")
        if self.bind:
            elements.append(_element(ns.BIND, "bind"))
        if self.session:
            elements.append(_element(ns.SESSION, "session"))
            ET.SubElement(elements[-1], f"{{{ns.SESSION}}}optional")
        if self.stream_management:
            elements.append(_element(ns.STREAM_MANAGEMENT, "sm"))
        return elements


def _element(namespace: str, name: str) -> ET.Element:
    return ET.Element(f"{{{namespace}}}{name}")
