"""SIP trunk security profiles hold what CUCM's administration page would save."""

from dataclasses import replace

import pytest

from certs.errors import ConfigError
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    GatedFeature,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
    check_trunks,
    parse_subject_names,
)

SECURE = SipTrunkSecurityProfile(
    name="IMP secure",
    device_security_mode=DeviceSecurityMode.ENCRYPTED,
    incoming_transport_type=IncomingTransportType.TLS,
    outgoing_transport_type=Transport.TLS,
    x509_subject_names=frozenset({"imp1.example.com"}),
    incoming_port=5061,
)
PLAIN = SipTrunkSecurityProfile(name="Non Secure SIP Trunk Profile")
TRUNK = SipTrunk(
    name="imp1", destination_address="127.0.0.1", destination_port=5062, security_profile="IMP secure"
)


@pytest.mark.parametrize("text", ["a b", "a,b", "a;b", "a:b", " a ,; : b\n", "a b a"])
def test_subject_names_may_be_separated_in_four_ways(text: str) -> None:
    assert parse_subject_names(text) == {"a", "b"}


def test_subject_names_fill_the_field_and_not_more() -> None:
    assert len(parse_subject_names("a" * 4096)) == 1
    with pytest.raises(ConfigError, match="x509_subject_names: 4097 characters"):
        parse_subject_names("a" * 4097)


def test_the_default_profile_takes_tcp_and_udp() -> None:
    assert PLAIN.incoming_transport_type.transports == {Transport.TCP, Transport.UDP}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"incoming_transport_type": IncomingTransportType.TCP_UDP}, "incoming_transport_type"),
        ({"outgoing_transport_type": Transport.TCP}, "outgoing_transport_type"),
        ({"name": " "}, "name"),
        ({"incoming_port": 65536}, "incoming_port"),
    ],
)
def test_an_error_of_a_secure_profile_names_the_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: "):
        replace(SECURE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"incoming_transport_type": IncomingTransportType.TLS}, "incoming_transport_type"),
        ({"outgoing_transport_type": Transport.TLS}, "outgoing_transport_type"),
        ({"x509_subject_names": frozenset({"a"})}, "x509_subject_names"),
    ],
)
def test_an_error_of_a_plain_profile_names_the_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: "):
        replace(PLAIN, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "feature"),
    [
        ("accept_presence_subscription", GatedFeature.PRESENCE_SUBSCRIPTION),
        ("accept_out_of_dialog_refer", GatedFeature.OUT_OF_DIALOG_REFER),
        ("accept_unsolicited_notification", GatedFeature.UNSOLICITED_NOTIFICATION),
        ("accept_replaces_header", GatedFeature.REPLACES_HEADER),
    ],
)
def test_a_ticked_box_lets_its_feature_in_and_no_other(field: str, feature: GatedFeature) -> None:
    ticked = replace(PLAIN, **{field: True})  # type: ignore[arg-type]
    assert [f for f in GatedFeature if ticked.accepts(f)] == [feature]
    assert not any(PLAIN.accepts(f) for f in GatedFeature)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"destination_address": " "}, "destination_address"),
        ({"destination_port": 0}, "destination_port"),
    ],
)
def test_an_error_of_a_trunk_names_the_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: "):
        replace(TRUNK, **changes)  # type: ignore[arg-type]


def test_two_trunks_share_no_subject_name_and_port() -> None:
    other = replace(TRUNK, name="imp2", destination_address="127.0.0.2")
    with pytest.raises(ConfigError, match="one subject name and port pair per trunk"):
        check_trunks([TRUNK, other], [SECURE])


def test_two_trunks_may_share_a_subject_name_on_different_ports() -> None:
    other_profile = replace(SECURE, name="IMP secure 2", incoming_port=5071)
    other = replace(TRUNK, name="imp2", security_profile="IMP secure 2")
    check_trunks([TRUNK, other], [SECURE, other_profile])


def test_plain_trunks_may_share_a_profile() -> None:
    first = replace(TRUNK, security_profile=PLAIN.name)
    check_trunks([first, replace(first, name="imp2")], [PLAIN])


def test_names_are_used_once() -> None:
    with pytest.raises(ConfigError, match="two SIP trunks are called 'imp1'"):
        check_trunks([TRUNK, replace(TRUNK, destination_port=5063)], [])
    with pytest.raises(ConfigError, match="two SIP trunk security profiles are called 'IMP secure'"):
        check_trunks([], [SECURE, replace(SECURE, description="again")])


def test_a_port_has_one_device_security_mode() -> None:
    authenticated = replace(
        SECURE, name="IMP authenticated", device_security_mode=DeviceSecurityMode.AUTHENTICATED
    )
    with pytest.raises(ConfigError, match=r"^incoming_port: 5061 is Encrypted"):
        check_trunks([], [SECURE, authenticated])
    check_trunks([], [SECURE, replace(authenticated, incoming_port=5071)])


def test_a_trunk_may_be_saved_without_its_profile() -> None:
    check_trunks([TRUNK], [])
