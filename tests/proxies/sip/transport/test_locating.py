"""Where requests for a host go (RFC 3263 4)."""

from proxies.sip.transport.flow import Destination, Transport
from proxies.sip.transport.locating import locate


class Names:
    """example.com has SRV records for TLS and TCP; other hosts have none."""

    def address_of(self, name: str) -> str | None:
        return None

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        if domain != "example.com":
            return ()
        return {
            Transport.TLS: (("imp1.example.com", 5062), ("imp2.example.com", 5062)),
            Transport.TCP: (("imp1.example.com", 5070),),
        }.get(transport, ())


def place(transport: Transport, host: str, port: int) -> Destination:
    return Destination(transport=transport, host=host, port=port)


def test_an_explicit_port_wins_over_srv_records() -> None:
    assert locate("example.com", resolver=Names(), port=5080) == place(Transport.UDP, "example.com", 5080)


def test_the_best_srv_record_of_the_transport_is_used() -> None:
    found = locate("example.com", resolver=Names(), transport=Transport.TCP)
    assert found == place(Transport.TCP, "imp1.example.com", 5070)


def test_without_a_transport_the_secure_record_is_used() -> None:
    assert locate("example.com", resolver=Names()) == place(Transport.TLS, "imp1.example.com", 5062)


def test_without_srv_records_the_default_port_is_used() -> None:
    assert locate("a", resolver=Names(), transport=Transport.TLS) == place(Transport.TLS, "a", 5061)
    assert locate("a", resolver=Names()) == place(Transport.UDP, "a", 5060)
