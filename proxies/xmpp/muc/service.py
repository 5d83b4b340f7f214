"""The product's Cisco XCP Text Conference Manager: multi-user chat as a component of the router (XEP-0045)."""

from collections import deque
from typing import Final
from xml.etree import ElementTree as ET

from certs.clock import Clock
from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import StanzaErrorCondition
from proxies.xmpp.im.interfaces import Route
from proxies.xmpp.jid import Jid
from proxies.xmpp.muc.administration import answer_admin_query
from proxies.xmpp.muc.configuration import answer_owner_query
from proxies.xmpp.muc.discovery import room_info, room_items, service_info, service_items
from proxies.xmpp.muc.entry import create, receive_presence
from proxies.xmpp.muc.messages import receive_message
from proxies.xmpp.muc.room import PresenceNote, Room, RoomState
from proxies.xmpp.muc.values import MucSettings, RoomRecord, RoomStore, StatusCode
from proxies.xmpp.stanza import Stanza

_PING: Final = (ns.PING, "ping")
_VCARD: Final = (ns.VCARD, "vCard")
_SHUTDOWN: Final = PresenceNote(codes=(StatusCode.SERVICE_SHUTDOWN,))


class MucService:
    """Takes what the router has for the service's domain, and gives each stanza to its room."""

    def __init__(self, settings: MucSettings, route: Route, store: RoomStore, clock: Clock) -> None:
        self._settings = settings
        self._route = route
        self._store = store
        self._clock = clock
        self._outbox: deque[Stanza] = deque()
        self._sending = False
        self._rooms: dict[Jid, Room] = {}
        for record in store.rooms():
            self._rooms[record.jid] = self._make_room(record, RoomState.OPEN)

    def receive(self, stanza: Stanza) -> None:
        """Take a stanza whose `to` is in the service's domain."""
        try:
            sender = stanza.sender
        except RemoteProtocolError:
            return  # nobody could be answered
        if sender is None:
            return
        try:
            self._receive(stanza, sender)
        except RemoteProtocolError as error:
            if stanza.attributes.get("type") not in ("error", "result", "unavailable"):  # RFC 6120 8.3.1
                refused = stanza.error(StanzaErrorCondition(error.reply), str(error))
                if stanza.kind == "presence":  # what tells clients that it is about the room (7.2.5 to 7.2.9)
                    refused = refused.with_child(ET.Element(f"{{{ns.MUC}}}x"))
                self._outbox.append(refused)
        self._send()

    def close(self) -> None:
        """Tell all occupants that the service goes (status code 332); persistent rooms stay stored."""
        for room in self._rooms.values():
            room.dismiss_all(_SHUTDOWN)
        self._rooms.clear()
        self._send()

    def _send(self) -> None:
        # What is routed may come back at once as an error, in the middle of this loop: it is taken in, and what
        # it causes waits behind the stanzas that were to go before it, so that every occupant sees one order.
        if self._sending:
            return
        self._sending = True
        try:
            while self._outbox:
                self._route(self._outbox.popleft())
        finally:
            self._sending = False

    def _receive(self, stanza: Stanza, sender: Jid) -> None:
        to = stanza.to
        assert to is not None  # the router let nothing else through
        if not to.localpart:
            self._receive_for_service(stanza)
            return
        room = self._rooms.get(to.bare)
        if room is None:
            self._receive_for_no_room(stanza, sender, to)
            return
        match stanza.kind:
            case "presence":
                receive_presence(room, stanza, sender, to)
            case "message":
                receive_message(room, stanza, sender, to)
            case "iq":
                self._receive_iq(room, stanza, sender, to)
        if room.state is RoomState.DESTROYED:
            self._rooms.pop(room.jid, None)

    def _receive_for_service(self, stanza: Stanza) -> None:
        if stanza.kind == "presence":
            return  # the service has none
        match stanza.children if stanza.is_request else ():
            case ((ns.DISCO_INFO, "query"),):
                answer = service_info(stanza, self._settings)
            case ((ns.DISCO_ITEMS, "query"),):
                answer = service_items(stanza, self._rooms.values())
            case ((ns.PING, "ping"),):
                answer = stanza.reply()
            case _:
                raise RemoteProtocolError("the service does not answer this", reply="service-unavailable")
        self._outbox.append(answer)

    def _receive_for_no_room(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        if stanza.kind != "presence" or (not stanza.type and not stanza.has_child(ns.MUC, "x")):
            raise RemoteProtocolError("there is no such room", reply="item-not-found")
        if stanza.type:
            return
        if len(self._rooms) >= self._settings.maximum_rooms:
            raise RemoteProtocolError("there are too many rooms", reply="resource-constraint")
        room = self._make_room(RoomRecord(jid=to.bare), RoomState.LOCKED)
        create(room, stanza, sender, to)
        self._rooms[room.jid] = room

    def _make_room(self, record: RoomRecord, state: RoomState) -> Room:
        return Room(
            record,
            state=state,
            settings=self._settings,
            store=self._store,
            clock=self._clock,
            send=self._outbox.append,
        )

    def _receive_iq(self, room: Room, iq: Stanza, sender: Jid, to: Jid) -> None:
        if to.resourcepart:
            self._relay_iq(room, iq, sender, to.resourcepart)
            return
        if not iq.is_request:
            return  # rooms ask nothing
        match iq.children:
            case ((ns.MUC_ADMIN, "query"),):
                answer = answer_admin_query(room, iq, sender)
            case ((ns.MUC_OWNER, "query"),):
                answer = answer_owner_query(room, iq, sender)
            case ((ns.DISCO_INFO, "query"),):
                answer = room_info(iq, room)
            case ((ns.DISCO_ITEMS, "query"),):
                answer = room_items(iq, room, sender)
            case ((ns.PING, "ping"),):
                answer = iq.reply()
            case _:
                raise RemoteProtocolError("a room does not answer this", reply="service-unavailable")
        self._outbox.append(answer)

    def _relay_iq(self, room: Room, iq: Stanza, sender: Jid, nickname: str) -> None:
        """Pass an IQ between occupants under their nicknames (17.4); answer a ping of oneself (XEP-0410)."""
        occupant = room.occupant(sender)
        if occupant is None and sender.is_bare and not iq.is_request:
            # The account answered on behalf of an occupant, as it does for a vCard.
            occupant = next((each for each in room.occupants.values() if each.jid.bare == sender), None)
        if occupant is None:
            raise RemoteProtocolError("you are not in this room", reply="not-acceptable")
        target = room.occupants.get(nickname)
        if target is None:
            raise RemoteProtocolError(f"nobody is {nickname!r} here", reply="item-not-found")
        if target is occupant and iq.is_request and iq.children == (_PING,):
            self._outbox.append(iq.reply())
            return
        to = str(target.jid.bare) if iq.is_request and iq.children == (_VCARD,) else target.address
        self._outbox.append(iq.with_attributes(from_=room.occupant_address(occupant.nickname), to=to))
