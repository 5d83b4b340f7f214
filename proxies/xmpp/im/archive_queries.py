"""Reading archive queries and writing their results (XEP-0313 sections 4 and 5)."""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.data_forms import FORM_TYPE, FormField, find_form, form_element, parse_submission
from proxies.xmpp.im.archive_values import ArchivedMessage, ArchivePage, ArchiveQuery
from proxies.xmpp.im.result_sets import parse_result_set, result_set_element
from proxies.xmpp.jid import Jid
from proxies.xmpp.stamps import format_stamp, parse_stamp
from proxies.xmpp.stanza import Stanza

_FIELDS: Final = {"with": "jid-single", "start": "text-single", "end": "text-single"}
_USUAL_PAGE: Final = 50


def parse_archive_query(query: ET.Element, maximum_page: int) -> ArchiveQuery:
    """Return what a `<query/>` looks for.

    Raises RemoteProtocolError with the stanza error to answer.
    """
    form = find_form(query)
    fields = dict(parse_submission(form, ns.ARCHIVE)) if form is not None else {}
    fields.pop(FORM_TYPE, None)
    if unknown := fields.keys() - _FIELDS:
        # Answering as if the field were not there would show what the client did not ask for (4.1.5).
        raise RemoteProtocolError(f"no field {min(unknown)[:40]!r} here", reply="feature-not-implemented")
    values = {name: each[0] for name, each in fields.items() if each}
    page = parse_result_set(query)
    return ArchiveQuery(
        maximum=min(_USUAL_PAGE if page.maximum is None else page.maximum, maximum_page),
        peer=Jid.parse(values["with"]) if "with" in values else None,
        start=parse_stamp(values["start"]) if "start" in values else None,
        end=parse_stamp(values["end"]) if "end" in values else None,
        after=_parse_id(page.after) if page.after is not None else None,
        before=_parse_id(page.before) if page.before else None,
        backwards=page.before is not None,
    )


def query_form() -> ET.Element:
    """Return the form that says what can be looked for (4.1.5)."""
    return form_element(ns.ARCHIVE, [FormField(var, (), type_) for var, type_ in _FIELDS.items()])


def result_messages(request: Stanza, query_id: str, archive: str, page: ArchivePage) -> Iterator[Stanza]:
    """Return the messages that carry a page to who asked (4.2); `archive` is the archive's address."""
    attributes = {"to": request.attributes["from"], "from": archive}
    query_attribute = f" queryid={quoteattr(query_id)}" if query_id else ""
    for each in page.messages:
        yield Stanza("message", attributes, _result(each, query_attribute), ((ns.ARCHIVE, "result"),))


def fin_element(page: ArchivePage) -> ET.Element:
    """Return the `<fin/>` that ends a page (4.2)."""
    fin = ET.Element(f"{{{ns.ARCHIVE}}}fin", {"complete": "true"} if page.complete else {})
    first, last = (page.messages[0].id, page.messages[-1].id) if page.messages else ("", "")
    fin.append(result_set_element(str(first), str(last), page.count))
    return fin


def _result(message: ArchivedMessage, query_attribute: str) -> bytes:
    # Written as bytes because the message is bytes already, and a page has a hundred of them.
    start = (
        f'<result xmlns="{ns.ARCHIVE}" id="{message.id}"{query_attribute}><forwarded xmlns="{ns.FORWARD}">'
        f'<delay xmlns="{ns.DELAY}" stamp="{format_stamp(message.stamp)}"/>'
    )
    return start.encode() + message.wire + b"</forwarded></result>"


def _parse_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RemoteProtocolError(f"{text[:40]!r} is not in the archive", reply="item-not-found")
    return int(text)
