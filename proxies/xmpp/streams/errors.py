"""Stream errors on the wire, and who finds which (RFC 6120 4.9).

- reader: bad-format, not-well-formed, restricted-xml, unsupported-encoding; policy-violation for sizes;
- stream, header: bad-namespace-prefix, invalid-namespace, unsupported-version, host-unknown, improper-addressing,
  invalid-from;
- stream, later: not-authorized for early stanzas, improper-addressing and invalid-from for a stanza's addresses,
  policy-violation for too many logins and bytes behind `<starttls/>`, unsupported-stanza-type,
  undefined-condition for acknowledgements of what was not sent, connection-timeout from its timer;
- services, through `XmppStream.fail`: conflict, host-gone, internal-server-error, remote-connection-failed, reset,
  resource-constraint, see-other-host, system-shutdown; invalid-from for an unproven domain; unsupported-feature
  where nothing usable is offered;
- nobody: invalid-xml, as nothing is validated.
"""

from typing import Final
from xml.etree import ElementTree as ET

from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.stanza import Nonza, encode_content, split_name
from proxies.xmpp.streams.events import StreamErrorReceived

_CONDITIONS: Final = frozenset(StreamErrorCondition)


def encode_stream_error(
    condition: StreamErrorCondition,
    text: str = "",
    *,
    other_host: str = "",
    application: ET.Element | None = None,
) -> bytes:
    """Return what lies between the tags of `<stream:error/>`; `other_host` is that of `see-other-host`."""
    error = ET.Element("error")
    ET.SubElement(error, f"{{{ns.STREAM_ERRORS}}}{condition}").text = other_host or None
    if text:
        ET.SubElement(error, f"{{{ns.STREAM_ERRORS}}}text", {f"{{{ns.XML}}}lang": "en"}).text = text
    if application is not None:
        error.append(application)
    return encode_content(error)


def parse_stream_error(nonza: Nonza) -> StreamErrorReceived:
    """Return what a `<stream:error/>` says."""
    condition = StreamErrorCondition.UNDEFINED_CONDITION
    text = other_host = ""
    application: tuple[str, str] | None = None
    for child in nonza.element():
        namespace, name = split_name(child.tag)
        if namespace != ns.STREAM_ERRORS:
            application = (namespace, name)
        elif name == "text":
            text = (child.text or "").strip()
        elif name in _CONDITIONS:
            condition = StreamErrorCondition(name)
            other_host = (child.text or "").strip()
    return StreamErrorReceived(condition, text, other_host, application)
