"""What web clients and browsers are told before a stream is opened."""

import json
from xml.etree import ElementTree as ET

import pytest

from proxies.xmpp.web.alternatives import AlternativeConnections
from proxies.xmpp.web.cross_origin import CrossOriginPolicy

APP = "https://app.example"


@pytest.mark.parametrize(("secure", "mark", "port"), [(False, "", 7335), (True, "s", 7336)])
def test_both_documents_name_both_addresses(secure: bool, mark: str, port: int) -> None:
    found = AlternativeConnections.of(
        "imp1.lab.example", port, secure=secure, bosh_path="/httpbinding", websocket_path="/websocket"
    )
    links = {
        "urn:xmpp:alt-connections:xbosh": f"http{mark}://imp1.lab.example:{port}/httpbinding",
        "urn:xmpp:alt-connections:websocket": f"ws{mark}://imp1.lab.example:{port}/websocket",
    }
    document = ET.fromstring(found.encode_xrd())
    assert document.tag == "{http://docs.oasis-open.org/ns/xri/xrd-1.0}XRD"
    assert {link.get("rel"): link.get("href") for link in document} == links
    assert {link["rel"]: link["href"] for link in json.loads(found.encode_json())["links"]} == links


def test_every_page_may_ask_by_default_but_without_the_browsers_credentials() -> None:
    policy = CrossOriginPolicy()
    assert policy.allows(APP)
    assert policy.headers(APP) == {"Access-Control-Allow-Origin": "*"}
    assert policy.preflight_headers(APP, "POST") == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "86400",
    }


def test_only_pages_of_listed_origins_may_use_the_browsers_credentials() -> None:
    policy = CrossOriginPolicy(allowed_origins=frozenset({APP}))
    assert policy.allows(APP)
    assert policy.allows("HTTPS://App.example")
    assert policy.headers(APP) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Allow-Credentials": "true",
    }
    assert not policy.allows("https://evil.example")
    assert policy.headers("https://evil.example") == {"Vary": "Origin"}
    assert policy.preflight_headers("https://evil.example", "POST") == {"Vary": "Origin"}


def test_what_is_no_browser_names_no_origin_and_may() -> None:
    policy = CrossOriginPolicy(allowed_origins=frozenset({APP}))
    assert policy.allows(None)
    assert policy.headers(None) == {"Vary": "Origin"}
