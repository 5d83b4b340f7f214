"""The registrar and the location service (RFC 3261 10.3)."""

import pytest

from proxies.sip.messages.message import Response
from proxies.sip.proxy.location import LocationService
from proxies.sip.proxy.registrar import Registrar, RegistrationLimits
from proxies.sip.transport.flow import Destination, Flow, Transport
from tests.proxies.sip.wire import make_flow, make_request

LIMITS = RegistrationLimits(maximum_bindings=2)
PHONE = "sip:alice@127.0.0.2:5070"


class Desk:
    """A registrar with its location service and one client's connection."""

    def __init__(self, flow: Flow | None = None) -> None:
        self.location = LocationService(maximum_bindings=LIMITS.maximum_bindings)
        self.registrar = Registrar(self.location, LIMITS)
        self.flow = flow or make_flow(Transport.TCP, peer=("127.0.0.2", 40001))
        self.cseq = 0

    def register(
        self, *contacts: str, extra: str = "", cseq: int | None = None, now: float = 0.0
    ) -> Response:
        self.cseq = self.cseq + 1 if cseq is None else cseq
        lines = "".join(f"Contact: {contact}\n" for contact in contacts)
        request = make_request("REGISTER", cseq=f"{self.cseq} REGISTER", extra=lines + extra)
        return self.registrar.register(request, "alice", self.flow, now=now)

    def contacts(self, *, now: float = 0.0) -> list[str]:
        return [binding.contact for binding in self.location.bindings_of("alice", now=now)]


def test_the_answer_lists_all_contacts_with_the_seconds_left() -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>;q=0.5;expires=600")
    response = desk.register("sip:alice@127.0.0.9", now=100.0)
    assert response.status == 200
    assert list(response.headers("contact")) == [
        f"<{PHONE}>;q=0.5;expires=500",
        "<sip:alice@127.0.0.9>;expires=3600",
    ]
    assert ";tag=" in response.required("to")


def test_a_register_without_contacts_asks_only() -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>")
    assert list(desk.register().headers("contact")) == [f"<{PHONE}>;expires=3600"]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("", 3600), ("Expires: 60\n", 60), ("Expires: 999999\n", 86400), ("Expires: soon\n", 3600)],
)
def test_a_registration_lasts_as_long_as_is_granted(asked: str, granted: int) -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>", extra=asked)
    assert desk.contacts(now=granted - 1) == [PHONE]
    assert desk.contacts(now=granted) == []


def test_too_short_a_time_gets_423_with_the_least_and_changes_nothing() -> None:
    desk = Desk()
    response = desk.register(f"<{PHONE}>", extra="Expires: 59\n")
    assert response.status == 423
    assert response.header("min-expires") == "60"
    assert desk.contacts() == []


def test_zero_seconds_remove_one_contact() -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>, <sip:alice@127.0.0.9>")
    assert desk.register(f"<{PHONE}>;expires=0").status == 200
    assert desk.contacts() == ["sip:alice@127.0.0.9"]


def test_a_star_removes_all() -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>, <sip:alice@127.0.0.9>")
    assert desk.register("*", extra="Expires: 0\n").status == 200
    assert desk.contacts() == []


@pytest.mark.parametrize("expires", ["", "Expires: 60\n"])
def test_a_star_with_another_time_is_refused(expires: str) -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>")
    assert desk.register("*", extra=expires).status == 400
    assert desk.contacts() == [PHONE]


@pytest.mark.parametrize(("cseq", "status"), [(4, 500), (5, 500), (6, 200)])
def test_a_register_that_was_overtaken_is_refused(cseq: int, status: int) -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>", cseq=5)
    assert desk.register(f"<{PHONE}>;expires=0", cseq=cseq).status == status
    assert desk.contacts() == ([] if status == 200 else [PHONE])


def test_one_contact_too_many_is_refused_whole() -> None:
    desk = Desk()
    desk.register("<sip:alice@127.0.0.7>")
    assert desk.register("<sip:alice@127.0.0.8>, <sip:alice@127.0.0.9>").status == 403
    assert desk.contacts() == ["sip:alice@127.0.0.7"]
    assert desk.register("<sip:alice@127.0.0.8>").status == 200


def test_a_required_extension_is_refused_by_name() -> None:
    response = Desk().register(f"<{PHONE}>", extra="Require: path\n")
    assert response.status == 420
    assert response.header("unsupported") == "path"


@pytest.mark.parametrize("contact", ["<mailto:alice@example.com>", "nothing"])
def test_a_contact_that_cannot_be_reached_by_sip_is_refused(contact: str) -> None:
    desk = Desk()
    assert desk.register(contact).status in (400, 416)
    assert desk.contacts() == []


def test_over_a_connection_the_client_is_reached_by_it_and_over_udp_at_its_contact() -> None:
    desk = Desk()
    desk.register(f"<{PHONE};transport=tcp>")
    [binding] = desk.location.bindings_of("alice", now=0.0)
    assert binding.flow is desk.flow
    assert binding.destination == Destination(transport=Transport.TCP, host="127.0.0.2", port=5070)
    udp = Desk(make_flow(Transport.UDP))
    udp.register(f"<{PHONE}>")
    assert udp.location.bindings_of("alice", now=0.0)[0].flow is None


@pytest.mark.parametrize(("port", "kept"), [(40001, False), (5070, True)])
def test_with_the_connection_goes_what_only_it_could_reach(port: int, kept: bool) -> None:
    desk = Desk()
    contact = f"sip:alice@127.0.0.2:{port};transport=tcp"
    desk.register(f"<{contact}>")
    desk.location.flow_closed(desk.flow)
    assert desk.contacts() == ([contact] if kept else [])
    desk.location.flow_closed(desk.flow)


def test_a_contact_is_found_by_the_uri_that_a_dialog_names() -> None:
    desk = Desk()
    desk.register(f"<{PHONE}>")
    assert desk.location.find_contact(PHONE, now=0.0) is not None
    assert desk.location.find_contact("sip:alice@127.0.0.9", now=0.0) is None
    assert desk.location.find_contact(PHONE, now=3600.0) is None
