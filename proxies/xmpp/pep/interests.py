"""Who wants to hear of which nodes: learnt from entity capabilities (XEP-0115, XEP-0163 section 4.3.2, `+notify`)."""

import hashlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from certs.clock import Clock
from proxies.xmpp import namespaces as ns
from proxies.xmpp.jid import Jid
from proxies.xmpp.stanza import Stanza, make_id, make_stanza

_CAPS: Final = (ns.CAPS, "c")
_INFO: Final = f"{{{ns.DISCO_INFO}}}"
_FORM: Final = f"{{{ns.DATA_FORMS}}}"
_NOTIFY: Final = "+notify"

KNOWN: Final = 2000
"Capabilities that are remembered by their hash."

ASKED: Final = 1000
"Questions that may wait for an answer."

WAITING: Final = 500
"Entities that may wait for one answer."

ENTITIES: Final = 5000
"Entities whose wishes are remembered for one user."

NODES: Final = 100
"Nodes that one entity may want to hear of; what it says beyond them is not remembered."

NAME: Final = 256
"Characters of such a node's name."

_CACHED: Final = 4096
"Octets of a presence that is read once for all whom it goes to; a larger one is read each time."

PATIENCE: Final = 30.0
"Seconds after which an answer is not waited for any more, and somebody else may be asked."


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the `<c/>` of a presence says."""

    node: str
    "The software's URI."

    ver: str
    "The hash of what it can do."

    hash: str
    "How that was made."


@dataclass(slots=True)
class _Question:
    capabilities: Capabilities
    asked: Jid
    due: float
    waiting: list[tuple[Jid, Jid]] = field(default_factory=list)


class Interests:
    """Remembers for each user which entities want to hear of which nodes."""

    def __init__(self, send: Callable[[Stanza], None], clock: Clock) -> None:
        """`send` brings a question to an entity."""
        self._send = send
        self._clock = clock
        self._known: OrderedDict[Capabilities, frozenset[str]] = OrderedDict()
        self._questions: OrderedDict[str, _Question] = OrderedDict()
        self._ids: dict[Capabilities, str] = {}
        self._wishes: dict[Jid, dict[Jid, frozenset[str]]] = {}
        self.learnt: Callable[[Jid, Jid, frozenset[str]], None] = lambda user, entity, nodes: None
        "Told of a user, an entity, and the nodes of the user's that it has begun to be interested in."

    def take_presence(self, user: Jid, entity: Jid, presence: Stanza) -> None:
        """Take an entity's presence, as it reached the user: what is not known by its hash is asked for."""
        if presence.type == "unavailable":
            wishes = self._wishes.get(user)
            if wishes is not None and wishes.pop(entity, None) is not None and not wishes:
                del self._wishes[user]
            return
        capabilities = read_capabilities(presence)
        if capabilities is None:
            return  # what it said before still holds: not each presence repeats it (XEP-0115 8.4)
        known = self._known.get(capabilities)
        if known is not None:
            self._known.move_to_end(capabilities)
            self._learn(user, entity, known)
        else:
            self._ask(capabilities, user, entity)

    def take_answer(self, answer: Stanza) -> None:
        """Take an IQ of type `result` or `error` that came for an account."""
        question = self._questions.get(answer.id)
        if question is None or answer.sender != question.asked:
            return
        del self._questions[answer.id]
        self._ids.pop(question.capabilities, None)
        query = None if answer.type == "error" else answer.element().find(f"{_INFO}query")
        waiting = question.waiting
        if query is not None:
            wishes = _wishes(query)
            if verify(query, question.capabilities):
                self._known[question.capabilities] = wishes
                if len(self._known) > KNOWN:
                    self._known.popitem(last=False)
                for user, entity in waiting:
                    self._learn(user, entity, wishes)
                return
            # It holds for the one that said so, and for nobody else (XEP-0115 5.4).
            for user, entity in waiting:
                if entity == question.asked:
                    self._learn(user, entity, wishes)
        others = [(user, entity) for user, entity in waiting if entity != question.asked]
        for user, entity in others:
            self._ask(question.capabilities, user, entity)

    def of(self, user: Jid, node: str) -> list[Jid]:
        """Return the entities that want to hear of a user's node."""
        return [entity for entity, nodes in self._wishes.get(user, {}).items() if node in nodes]

    def _ask(self, capabilities: Capabilities, user: Jid, entity: Jid) -> None:
        now = self._clock.monotonic()
        question = self._questions.get(self._ids.get(capabilities, ""))
        if question is not None and now < question.due:
            if len(question.waiting) < WAITING and (user, entity) not in question.waiting:
                question.waiting.append((user, entity))
            return
        id_ = make_id()
        if question is not None:
            del self._questions[self._ids[capabilities]]
        elif len(self._questions) >= ASKED:
            _, oldest = self._questions.popitem(last=False)
            self._ids.pop(oldest.capabilities, None)
        waiting = [(user, entity)] if question is None else [*question.waiting, (user, entity)][-WAITING:]
        self._ids[capabilities] = id_
        self._questions[id_] = _Question(capabilities, entity, now + PATIENCE, waiting)
        query = ET.Element(f"{_INFO}query", {"node": f"{capabilities.node}#{capabilities.ver}"})
        addresses = {"from": str(user), "to": str(entity)}
        self._send(make_stanza("iq", {"type": "get", "id": id_, **addresses}, [query]))

    def _learn(self, user: Jid, entity: Jid, nodes: frozenset[str]) -> None:
        wishes = self._wishes.setdefault(user, {})
        before = wishes.get(entity, frozenset())
        if entity not in wishes and len(wishes) >= ENTITIES:
            return
        wishes[entity] = nodes
        if new := nodes - before:
            self.learnt(user, entity, new)


def read_capabilities(presence: Stanza) -> Capabilities | None:
    """Return what a presence says of its sender's capabilities, or None."""
    if _CAPS not in presence.children:
        return None
    read = _read if len(presence.payload) <= _CACHED else _read.__wrapped__
    return read(presence.payload, tuple(presence.declarations.items()))


def _wishes(query: ET.Element) -> frozenset[str]:
    names = (each.get("var", "") for each in query.iterfind(f"{_INFO}feature"))
    wanted = (name.removesuffix(_NOTIFY) for name in names if name.endswith(_NOTIFY))
    return frozenset(islice((name for name in wanted if len(name) <= NAME), NODES))


@lru_cache(4096)
def _read(payload: bytes, declarations: tuple[tuple[str, str], ...]) -> Capabilities | None:
    # One presence goes to many contacts with the same payload.
    tree = Stanza("presence", {}, payload, (), dict(declarations)).element()
    caps = tree.find(f"{{{ns.CAPS}}}c")
    if caps is None:
        return None
    values = [caps.get(name, "") for name in ("node", "ver", "hash")]
    if not all(values) or any(len(value) > 500 for value in values):
        return None  # without `hash` it is the form of before 2007 (XEP-0115 section 10)
    return Capabilities(*values)


def verify(query: ET.Element, capabilities: Capabilities) -> bool:
    """Whether the answer is what the hash was made of (XEP-0115 section 5.4)."""
    algorithm = {"sha-1": "sha1", "sha-256": "sha256", "sha-512": "sha512"}.get(capabilities.hash)
    if algorithm is None:
        return False
    identities = [
        "/".join(
            (
                each.get("category", ""),
                each.get("type", ""),
                each.get(f"{{{ns.XML}}}lang", ""),
                each.get("name", ""),
            )
        )
        for each in query.findall(f"{_INFO}identity")
    ]
    features = [each.get("var", "") for each in query.findall(f"{_INFO}feature")]
    if len(set(identities)) != len(identities) or len(set(features)) != len(features):
        return False
    parts = sorted(identities) + sorted(features)
    forms = []
    for form in query.findall(f"{_FORM}x"):
        fields = {
            each.get("var", ""): sorted((value.text or "") for value in each.findall(f"{_FORM}value"))
            for each in form.findall(f"{_FORM}field")
        }
        form_type = fields.pop("FORM_TYPE", [])
        if len(form_type) == 1:
            forms.append((form_type[0], fields))
    for name, fields in sorted(forms, key=lambda each: each[0]):
        parts.append(name)
        for var in sorted(fields):
            parts += [var, *fields[var]]
    text = "".join(f"{escape(part)}<" for part in parts)
    digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
    return b64encode(digest).decode() == capabilities.ver
