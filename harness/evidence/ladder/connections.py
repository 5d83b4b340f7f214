"""Which connections there were, which two are the ends of one, and whose lane an end is."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from harness.evidence.decoding import Event

_BOUND: Final = re.compile(r"urn:ietf:params:xml:ns:xmpp-bind.*?<(?:\w+:)?jid>([^<]{1,3071})</", re.DOTALL)

Address = tuple[str, int]


class Connections:
    """The connections of a list of events; ids that were never opened have no ends to tell of."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._infos: dict[str, Event] = {}
        self._pairs: dict[str, str] = {}
        self._seconds: set[str] = set()
        self._senders: set[str] = set()
        self._received: Counter[tuple[str, str]] = Counter()
        self._users: dict[str, str] = {}
        self._nodes: dict[str, str] = {}
        waiting: dict[tuple[Address, Address], str] = {}
        for event in events:
            match event.get("event"):
                case "lab":
                    self._nodes |= {node["address"]: node["name"] for node in event["nodes"]}
                case "opened" | "known":
                    self._open(event["connection"], waiting)
                case "message":
                    self._see(event)

    def _open(self, info: Event, waiting: dict[tuple[Address, Address], str]) -> None:
        id_, local, peer = str(info["id"]), _address(info["local"]), _address(info["peer"])
        self._infos[id_] = info
        other = waiting.pop((peer, local), None)
        if other is None:
            waiting[local, peer] = id_
        else:
            self._pairs[id_], self._pairs[other] = other, id_
            self._seconds.add(id_)
        if info["listener"] != "outgoing":
            self._nodes.setdefault(local[0], str(info["node"]))

    def _see(self, event: Event) -> None:
        id_, text = str(event["connection"]), str(event.get("text", ""))
        if event["direction"] == "received":
            self._received[id_, text] += 1
            return
        self._senders.add(id_)
        bound = _BOUND.search(text)
        if (
            bound is not None
            and id_ not in self._users
            and self._infos.get(id_, {}).get("listener") != "outgoing"
        ):
            self._users[id_] = bound[1].partition("/")[0]

    def lanes(self, id_: str, event: Event | None = None) -> tuple[str, str]:
        """Return the lane of the end that observed and that of its peer.

        `event` may tell of a connection that never opened.
        """
        info = self._infos.get(id_)
        if info is None:
            told = event or {}
            here = str(told.get("node", id_.partition(" ")[0]))
            address = str((told.get("peer") or ["elsewhere"])[0])
            return here, self._nodes.get(address, address)
        here = str(info["node"])
        pair = self._pairs.get(id_)
        if pair is not None:
            return here, str(self._infos[pair]["node"])
        address = _address(info["peer"])[0]
        return here, self._users.get(id_) or self._nodes.get(address, address)

    def both(self, id_: str) -> tuple[str, ...]:
        """Return the id, and that of the other end where it was observed too."""
        pair = self._pairs.get(id_)
        return (id_,) if pair is None else (id_, pair)

    def is_second_end(self, id_: str) -> bool:
        """Whether the other end was taken down first."""
        return id_ in self._seconds

    def other_end_sends(self, id_: str) -> bool:
        """Whether what comes in here was taken down where it went out."""
        return self._pairs.get(id_) in self._senders

    def arrived(self, id_: str, text: str) -> bool:
        """Whether the other end took this message down as well; true where nobody looked.

        Each message that arrived answers for one that was sent.
        """
        pair = self._pairs.get(id_)
        if pair is None:
            return True
        if self._received[pair, text] > 0:
            self._received[pair, text] -= 1
            return True
        return False

    def speaks_xmpp(self, id_: str) -> bool:
        """Whether the connection belongs to a service of XMPP."""
        info = self._infos.get(id_, {})
        return "XCP" in str(info.get("service", "")) or "XMPP" in str(info.get("listener", ""))

    def describe(self, id_: str) -> tuple[str, ...]:
        """Return which connection it is, in a line; nothing of one that never opened."""
        info = self._infos.get(id_)
        if info is None:
            return ()
        (local, port), (peer, peer_port) = _address(info["local"]), _address(info["peer"])
        where = "to" if info["listener"] == "outgoing" else f"on {info['listener']} from"
        here = f"{info['service']}, {local}:{port}"
        return (f"{' = '.join(self.both(id_))}: {here} {where} {peer}:{peer_port} ({info['transport']})",)


def _address(value: Iterable[Any]) -> Address:
    host, port = value
    return str(host), int(port)
