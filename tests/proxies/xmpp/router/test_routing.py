"""Where stanzas for other domains leave the cluster: from a node that federates, and never in a circle."""

from collections.abc import Callable, Mapping

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

    def follow(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


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


ECHO = "echo.lab.example"
TO_ECHO = Stanza("message", {"from": ALICE, "to": f"parrot@{ECHO}"})


class Places(Directory):
    """A component is on a node, or nowhere."""

    def __init__(self, node: str | None) -> None:
        super().__init__("imp2.lab.example")
        self._node = node

    def component_node(self, domain: str) -> str | None:
        return self._node if domain == ECHO else None


def router_with_component(place: str | None) -> tuple[StanzaRouter, Sent, list[Stanza]]:
    links, home = Sent(), list[Stanza]()
    made = StanzaRouter(
        node="imp1.lab.example",
        domains=frozenset({"lab.example"}),
        directory=Places(place),
        links=links,
        external=frozenset({ECHO}),
    )
    made.home = home.append
    return made, links, home


def test_an_attached_component_takes_what_is_for_its_domain() -> None:
    made, links, home = router_with_component("imp2.lab.example")
    attached: list[Stanza] = []
    made.attach(ECHO, attached.append)
    made.route(TO_ECHO)
    assert (attached, links.sent, home) == ([TO_ECHO], [], [])


def test_a_component_of_another_node_is_reached_over_the_link() -> None:
    made, links, home = router_with_component("imp2.lab.example")
    made.route(TO_ECHO)
    assert (links.sent, home) == ([("imp2.lab.example", TO_ECHO)], [])


def test_a_component_that_is_nowhere_is_unavailable_and_never_looked_for_by_federation() -> None:
    made, links, home = router_with_component(None)
    made.federation = links.sent.append  # type: ignore[assignment]
    made.route(TO_ECHO)
    assert not links.sent
    (bounced,) = home
    assert (
        bounced.element().find(
            "{jabber:client}error/{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable"
        )
        is not None
    )


def test_while_a_component_moves_its_stanzas_go_in_no_circle() -> None:
    made, links, home = router_with_component("imp2.lab.example")
    made.route_from_link(TO_ECHO)
    assert not links.sent
    assert home[0].type == "error"
