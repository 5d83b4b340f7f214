"""Short questions that the server answers: ping (XEP-0199), software version (XEP-0092), the legacy session."""

from xml.etree import ElementTree as ET

from proxies.xmpp import namespaces as ns
from proxies.xmpp.im.iq_table import IqRequest, IqScope, IqTable
from proxies.xmpp.im.settings import ImSettings
from proxies.xmpp.stanza import Stanza


class ServerQueries:
    """Answers without looking at any user."""

    def __init__(self, settings: ImSettings, table: IqTable) -> None:
        self._settings = settings
        table.register(ns.PING, "ping", _accept, IqScope.ANY)
        # RFC 3921 clients ask for a session after they bind a resource; RFC 6121 has none.
        table.register(ns.SESSION, "session", _accept, IqScope.OWN_ACCOUNT | IqScope.SERVER)
        table.register(ns.VERSION, "query", self._version, IqScope.SERVER)

    def _version(self, request: IqRequest) -> Stanza:
        query = ET.Element(f"{{{ns.VERSION}}}query")
        ET.SubElement(query, f"{{{ns.VERSION}}}name").text = self._settings.software_name
        ET.SubElement(query, f"{{{ns.VERSION}}}version").text = self._settings.software_version
        return request.stanza.reply(query)


def _accept(request: IqRequest) -> Stanza:
    return request.stanza.reply()
