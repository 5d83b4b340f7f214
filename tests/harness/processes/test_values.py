"""Values cross a control socket and come back as they were; nothing else does."""

import contextlib
import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import LocalProtocolError, RemoteProtocolError
from certs.issuing import CertificateSpec
from certs.purposes import CertificatePurpose, ServiceName
from certs.verdict import Reason, Side, Verdict
from harness.configuration.cluster_settings import TlsContext
from harness.nodes.service_runs import RestartNeeded
from harness.processes.values import MAXIMUM_DEPTH, decode, encode

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.sampled_from(list(Reason))
NESTED = st.recursive(
    PLAIN,
    lambda inside: (
        st.lists(inside)
        | st.lists(inside).map(tuple)
        | st.dictionaries(st.text(), inside).map(MappingProxyType)
        | st.frozensets(st.text())
    ),
    max_leaves=20,
)


@given(NESTED)
def test_plain_values_come_back(value: object) -> None:
    assert decode(encode(value)) == value


def test_values_of_the_lab_come_back() -> None:
    for value in (
        Verdict(accepted=False, reason=Reason.NO_CERTIFICATE, side=Side.SERVER),
        TlsContext(selected_peer_subjects=frozenset({"a", "b"}), selected_ciphers=("x",)),
        RestartNeeded(node="imp1", service=ServiceName.SIP_PROXY, topics=(CertificatePurpose.CUP,)),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        CertificateSpec.for_node("imp1.lab.example", "127.20.0.11", now=datetime(2026, 1, 2, tzinfo=UTC)),
    ):
        assert decode(encode(value)) == value


def test_what_is_no_value_does_not_leave() -> None:
    for thing in (print, object(), json, Verdict):
        with pytest.raises(LocalProtocolError, match="no value"):
            encode(thing)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b'{"a":1}',
        b'{"$value":"os:system","fields":{}}',
        b'{"$value":"subprocess:Popen","fields":{"args":["true"]}}',
        b'{"$value":"certs.key_store:KeyStore","fields":{"directory":"/"}}',
        b'{"$value":"certs.verdict:os.path","fields":{}}',
        b'{"$value":"certs.verdict:Verdict","fields":{"no_such_field":1}}',
        b'{"$value":"certs.nowhere:Verdict","fields":{}}',
        b'{"$enum":"certs.verdict:Reason","value":"no reason"}',
        b'{"$enum":"certs.verdict:Verdict","value":"x"}',
        b'{"$bytes":"not base64!"}',
        b'{"$datetime":"yesterday"}',
        b'{"$set":[[]]}',
        b"[" * 100_000,
        b"[" * (MAXIMUM_DEPTH + 2) + b"]" * (MAXIMUM_DEPTH + 2),
    ],
)
def test_what_names_no_value_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(line)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_value_or_refused(line: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode(line)
