"""Where stanzas for other domains leave the cluster: from a node that federates, and never in a circle."""

from collections.abc import Mapping

from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.router.routing import StanzaRouter
from proxies.xmpp.stanza import Stanza

ALICE, CAROL = "alice@lab.example", "carol@partner.example"
MESSAGE = Stanza("message", {"from": ALICE, "to": CAROL})


class Directory:
    """Another node federates, or nobody does."""

    def __init__(self, federating: str | None) -> None:
        self._federating = federating

    def home_node(self, localpart: str) -> str | None:
        return "imp1.lab.example"

    def component_node(self, domain: str) -> str | None:
        return None

    def component_domains(self) -> frozenset[str]:
        return frozenset()

    def federation_node(self) -> str | None:
        return self._federating

    def routers(self) -> Mapping[str, RouterAddress]:
        return {}


class Sent:
    """What went over links."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Stanza]] = []

    def send(self, fqdn: str, stanza: Stanza) -> None:
        self.sent.append((fqdn, stanza))


def router(federating: str | None) -> tuple[StanzaRouter, Sent, list[Stanza]]:
    links, home = Sent(), list[Stanza]()
    made = StanzaRouter(
        node="imp1.lab.example",
        domains=frozenset({"lab.example"}),
        directory=Directory(federating),
        links=links,
    )
    made.home = home.append
    return made, links, home


def test_a_node_that_federates_sends_for_itself() -> None:
    made, links, home = router("imp2.lab.example")
    out: list[Stanza] = []
    made.federation = out.append
    made.route(MESSAGE)
    assert (out, links.sent, home) == ([MESSAGE], [], [])


def test_another_node_sends_where_this_one_does_not_federate() -> None:
    made, links, home = router("imp2.lab.example")
    made.route(MESSAGE)
    assert (links.sent, home) == ([("imp2.lab.example", MESSAGE)], [])


def test_what_came_from_another_node_goes_to_no_third_one() -> None:
    made, links, home = router("imp2.lab.example")
    made.route_from_link(MESSAGE)
    assert links.sent == []
    assert [(each.type, each.attributes["to"]) for each in home] == [("error", ALICE)]


def test_where_nobody_federates_it_bounces() -> None:
    made, links, home = router(None)
    made.route(MESSAGE)
    assert links.sent == []
    assert b"<remote-server-not-found" in home[0].encode()
