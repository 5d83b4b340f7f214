"""How nodes are configured: the forms of XEP-0060 section 16.4.4, and publish-options (section 7.1.5)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp.data_forms import FORM_TYPE, FormField, form_element, parse_boolean, parse_submission
from proxies.xmpp.pep.errors import PubsubError
from proxies.xmpp.pep.values import AccessModel, NodeConfiguration, PepNode, SendLastItem

NODE_CONFIG: Final = "http://jabber.org/protocol/pubsub#node_config"
PUBLISH_OPTIONS: Final = "http://jabber.org/protocol/pubsub#publish-options"
META_DATA: Final = "http://jabber.org/protocol/pubsub#meta-data"

_MAXIMUM: Final = "max"

# Clients set these too; they are what PEP does anyhow, or for people.
_IGNORED: Final = frozenset(
    {
        "pubsub#title",
        "pubsub#description",
        "pubsub#type",
        "pubsub#language",
        "pubsub#notification_type",
        "pubsub#notify_delete",
        "pubsub#notify_config",
        "pubsub#deliver_notifications",
        "pubsub#publish_model",
        "pubsub#purge_offline",
        "pubsub#presence_based_delivery",
        "pubsub#itemreply",
        "pubsub#max_payload_size",
        "pubsub#subscribe",
        "pubsub#node_type",
    }
)


def parse_configuration(
    form: ET.Element, base: NodeConfiguration, maximum_items: int, form_type: str = NODE_CONFIG
) -> NodeConfiguration:
    """Return a configuration with the fields of a submitted form changed.

    Raises RemoteProtocolError (`bad-request`, `not-acceptable`) where a value cannot be.
    """
    changes: dict[str, Any] = {}
    for var, values in parse_submission(form, form_type).items():
        if var == FORM_TYPE or var in _IGNORED or not values:
            continue
        parse = _PARSERS.get(var)
        if parse is None:
            raise RemoteProtocolError(f"no field {var[:60]!r} here", reply="not-acceptable")
        changes[var.removeprefix("pubsub#")] = parse(values[0], maximum_items)
    return replace(base, **changes)


def check_preconditions(form: ET.Element, node: PepNode, maximum_items: int) -> None:
    """Check what a publisher asks of a node that is there already.

    Raises PubsubError (`precondition-not-met`) where the node is otherwise.
    """
    wanted = parse_configuration(form, node.configuration, maximum_items, PUBLISH_OPTIONS)
    if wanted != node.configuration:
        raise PubsubError(
            f"the node {node.name[:100]} is configured otherwise",
            reply="conflict",
            condition="precondition-not-met",
        )


def configuration_form(
    configuration: NodeConfiguration, *, type_: str = "form", form_type: str = NODE_CONFIG
) -> ET.Element:
    """Return a form that shows a configuration, to be changed or to be told."""
    return form_element(form_type, _fields(configuration, typed=type_ == "form"), type_=type_)


def _fields(configuration: NodeConfiguration, *, typed: bool) -> Iterator[FormField]:
    choices: Mapping[str, tuple[str, ...]] = {
        "access_model": tuple(AccessModel),
        "send_last_published_item": tuple(SendLastItem),
    }
    for name in ("access_model", "max_items", "send_last_published_item"):
        value, options = str(getattr(configuration, name)), choices.get(name, ())
        kind = ("list-single" if options else "text-single") if typed else ""
        yield FormField(f"pubsub#{name}", (value,), kind, options=options if typed else ())
    for name in ("persist_items", "deliver_payloads", "notify_retract"):
        value = "1" if getattr(configuration, name) else "0"
        yield FormField(f"pubsub#{name}", (value,), "boolean" if typed else "")


def _access_model(text: str, _: int) -> AccessModel:
    try:
        return AccessModel(text)
    except ValueError:
        raise PubsubError(
            f"no access model {text[:20]!r} here; there are {', '.join(AccessModel)}",
            reply="not-acceptable",
            condition="unsupported-access-model",
        ) from None


def _max_items(text: str, maximum: int) -> int:
    if text == _MAXIMUM:
        return maximum
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) > 0):
        raise RemoteProtocolError(f"{text[:20]!r} is no number of items", reply="bad-request")
    if int(text) > maximum:
        raise RemoteProtocolError(f"a node keeps at most {maximum} items", reply="not-acceptable")
    return int(text)


def _send_last(text: str, _: int) -> SendLastItem:
    try:
        return SendLastItem(text)
    except ValueError:
        raise RemoteProtocolError(f"{text[:20]!r} says not when", reply="bad-request") from None


def _boolean(text: str, _: int) -> bool:
    return parse_boolean(text)


_PARSERS: Final[Mapping[str, Callable[[str, int], Any]]] = {
    "pubsub#access_model": _access_model,
    "pubsub#max_items": _max_items,
    "pubsub#persist_items": _boolean,
    "pubsub#deliver_payloads": _boolean,
    "pubsub#notify_retract": _boolean,
    "pubsub#send_last_published_item": _send_last,
}
