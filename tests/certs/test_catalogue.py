"""The verdict catalogue has something to say about every reason."""

import re

import pytest

from certs.catalogue import CATALOGUE, explain
from certs.purposes import ServiceName, TrustStoreName
from certs.symptoms import SYMPTOMS
from certs.verdict import Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_rule_a_clause_and_a_remedy(reason: Reason) -> None:
    explanation = explain(reason)
    assert explanation.rule.endswith(".")
    assert re.fullmatch(r"G\d\d|RFC \d+ [\w.]+|XEP-\d{4} [\w.]+", explanation.clause)
    assert bool(explanation.remedy) is (reason is not Reason.ACCEPTED)
    assert "{" not in explanation.remedy


def test_no_entry_is_left_over() -> None:
    assert set(CATALOGUE) == set(SYMPTOMS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_lies_behind_it_and_what_the_peer_sees(reason: Reason) -> None:
    symptom = SYMPTOMS[reason]
    assert symptom.cause.endswith(".")
    assert symptom.at_peer.endswith(".")


def test_a_remedy_names_store_service_and_node() -> None:
    explanation = explain(
        Reason.UNTRUSTED_ISSUER,
        trust_store=TrustStoreName.CUP_TRUST,
        services=(ServiceName.SIP_PROXY,),
        node="imp1",
    )
    assert "cup-trust" in explanation.remedy
    assert explanation.remedy.endswith("restart Cisco SIP Proxy on imp1.")


def test_a_remedy_names_the_subject_and_the_tls_context() -> None:
    explanation = explain(
        Reason.SUBJECT_NOT_IN_CONTEXT, subject="cucm1.example", tls_context="Default_Context"
    )
    assert "Add cucm1.example in System > Security > TLS Peer Subjects" in explanation.remedy
    assert "Default_Context" in explanation.remedy


def test_trust_that_is_live_asks_for_no_restart_and_names_its_own_clause() -> None:
    store = TrustStoreName.CUP_XMPP_TRUST
    staged = explain(Reason.NO_CERTIFICATE, trust_store=store, node="imp1")
    live = explain(
        Reason.NO_CERTIFICATE, trust_store=store, node="imp1", trust_clause="G22", trust_is_live=True
    )
    assert (staged.clause, live.clause) == ("G19", "G22")
    assert staged.remedy.endswith("into cup-xmpp-trust on imp1, restart the service on imp1.")
    assert live.remedy.endswith("import it into cup-xmpp-trust on imp1.")
    assert explain(Reason.EXPIRED, trust_clause="G22").clause == explain(Reason.EXPIRED).clause
