"""Persistent rooms as the table holds them (XEP-0045)."""

import json
from dataclasses import asdict

from harness.im_store.codec import decode_moment, encode_moment
from harness.im_store.models import RoomRow
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.values import Affiliation, RoomConfiguration, RoomRecord, RoomSubject, Whois


def encode_room(record: RoomRecord) -> RoomRow:
    """Return the row of a room."""
    subject = record.subject
    return RoomRow(
        room=str(record.jid),
        configuration=json.dumps(asdict(record.configuration)),
        affiliations={str(jid): str(affiliation) for jid, affiliation in record.affiliations.items()},
        subject=""
        if subject is None
        else json.dumps([subject.text, subject.nickname, encode_moment(subject.set_at)]),
    )


def decode_room(row: RoomRow) -> RoomRecord:
    """Return a room that was stored.

    Raises ValueError, KeyError, TypeError or RemoteProtocolError where somebody changed the row.
    """
    values = json.loads(row.configuration)
    subject = None
    if row.subject:
        text, nickname, set_at = json.loads(row.subject)
        subject = RoomSubject(text=text, nickname=nickname, set_at=decode_moment(set_at))
    return RoomRecord(
        jid=Jid.parse(row.room),
        configuration=RoomConfiguration(**{**values, "whois": Whois(values["whois"])}),
        affiliations={Jid.parse(jid): Affiliation(name) for jid, name in row.affiliations.items()},
        subject=subject,
    )
