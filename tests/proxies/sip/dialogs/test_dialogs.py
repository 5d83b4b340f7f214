"""Dialogs at both ends (RFC 3261 12, RFC 6665 4.4.1)."""

import pytest

from certs.errors import LocalProtocolError, RemoteProtocolError
from proxies.sip.dialogs.dialogs import Dialog, DialogState, DialogTable
from proxies.sip.messages.message import Request, Response
from tests.proxies.sip.wire import answer, make_request

ROUTES = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\n"


def invite() -> Request:
    return make_request("INVITE", extra=f"Contact: <sip:alice@127.0.0.2:5062>\n{ROUTES}")


def accept(request: Request, status: int = 200, *, contact: str = "<sip:bob@127.0.0.3>") -> Response:
    response = answer(request, status)
    response.add_header("Contact", contact)
    return response


def caller(status: int = 200) -> Dialog:
    request = invite()
    return Dialog.as_uac(request, accept(request, status))


def callee(status: int = 200) -> Dialog:
    request = invite()
    return Dialog.as_uas(request, accept(request, status))


def from_caller(method: str, cseq: int, *, extra: str = "") -> Request:
    return make_request(method, cseq=f"{cseq} {method}", to_tag="b1", extra=extra)


def test_both_ends_have_one_dialog() -> None:
    assert caller().id == ("call-1", "a1", "b1")
    assert callee().id == ("call-1", "b1", "a1")


def test_the_callers_request_is_written_out_in_full() -> None:
    assert caller().make_request("BYE").encode() == (
        b"BYE sip:bob@127.0.0.3 SIP/2.0\r\n"
        b"Max-Forwards: 70\r\n"
        b"Route: <sip:p1.example.com;lr>\r\n"
        b"Route: <sip:p2.example.com;lr>\r\n"
        b"From: Alice <sip:alice@example.com>;tag=a1\r\n"
        b"To: <sip:bob@example.com>;tag=b1\r\n"
        b"Call-ID: call-1\r\n"
        b"CSeq: 2 BYE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_the_callees_request_takes_the_routes_the_other_way_round() -> None:
    request = callee().make_request("BYE")
    assert request.uri == "sip:alice@127.0.0.2:5062"
    assert list(request.headers("route")) == ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]
    assert request.header("from") == "<sip:bob@example.com>;tag=b1"
    assert request.header("to") == "Alice <sip:alice@example.com>;tag=a1"
    assert request.header("cseq") == "1 BYE"


def test_a_strict_router_gets_itself_as_request_uri_and_the_target_last() -> None:
    request = make_request(
        "INVITE", extra="Contact: <sip:alice@127.0.0.2>\nRecord-Route: <sip:old.example.com>\n"
    )
    bye = Dialog.as_uas(request, accept(request)).make_request("BYE")
    assert bye.uri == "sip:old.example.com"
    assert list(bye.headers("route")) == ["<sip:alice@127.0.0.2>"]


def test_the_ack_of_a_2xx_carries_the_number_of_its_invite() -> None:
    dialog = caller()
    dialog.make_request("INVITE")
    assert dialog.make_ack(1).header("cseq") == "1 ACK"
    assert dialog.make_request("BYE").header("cseq") == "3 BYE"


def test_a_2xx_confirms_an_early_dialog_and_sets_its_routes_anew() -> None:
    request = invite()
    dialog = caller(180)
    assert dialog.state.name == "EARLY"
    response = accept(request, 200, contact="<sip:bob@127.0.0.4>")
    response.remove_header("Record-Route")
    dialog.receive_response(response)
    assert dialog.state is DialogState.CONFIRMED
    assert dialog.route_set == ()
    assert dialog.remote_target == "sip:bob@127.0.0.4"


def test_a_failure_ends_an_early_dialog() -> None:
    dialog = caller(180)
    dialog.receive_response(answer(invite(), 486))
    assert dialog.state is DialogState.TERMINATED


@pytest.mark.parametrize(("status", "state"), [(200, DialogState.CONFIRMED), (486, DialogState.TERMINATED)])
def test_our_own_final_response_moves_an_early_dialog(status: int, state: DialogState) -> None:
    dialog = callee(180)
    dialog.response_sent(183)
    assert dialog.state.name == "EARLY"
    dialog.response_sent(status)
    assert dialog.state is state


@pytest.mark.parametrize(("status", "ended"), [(408, True), (481, True), (488, False), (500, False)])
def test_some_failures_within_a_dialog_end_it(status: int, ended: bool) -> None:
    dialog = caller()
    dialog.receive_response(answer(dialog.make_request("UPDATE"), status))
    assert (dialog.state is DialogState.TERMINATED) is ended


@pytest.mark.parametrize("number", [0, 1])
def test_a_cseq_that_is_not_above_the_last_is_refused_with_500(number: int) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        callee().receive_request(from_caller("UPDATE", number))
    assert refused.value.reply == "500"


@pytest.mark.parametrize("number", [2, 7])
def test_a_higher_cseq_is_taken_even_with_a_gap(number: int) -> None:
    dialog = callee()
    dialog.receive_request(from_caller("UPDATE", number))
    assert dialog.remote_cseq == number


def test_an_ack_has_the_number_of_its_invite_and_passes() -> None:
    dialog = callee()
    dialog.receive_request(from_caller("ACK", 1))
    assert dialog.remote_cseq == 1


def test_the_first_request_of_the_callee_may_have_any_number() -> None:
    dialog = caller()
    dialog.receive_request(make_request("UPDATE", cseq="900 UPDATE"))
    assert dialog.remote_cseq == 900


@pytest.mark.parametrize(("method", "refreshed"), [("UPDATE", True), ("INFO", False)])
def test_only_target_refresh_requests_move_the_target(method: str, refreshed: bool) -> None:
    dialog = callee()
    dialog.receive_request(from_caller(method, 2, extra='Contact: "Moved" <sip:alice@127.0.0.9>;q=1\n'))
    assert (dialog.remote_target == "sip:alice@127.0.0.9") is refreshed


def test_after_the_end_requests_meet_481_and_none_can_be_made() -> None:
    dialog = callee()
    dialog.end()
    with pytest.raises(RemoteProtocolError) as refused:
        dialog.receive_request(from_caller("INFO", 2))
    assert refused.value.reply == "481"
    with pytest.raises(LocalProtocolError, match="ended"):
        dialog.make_request("BYE")


def test_a_subscriber_gets_its_dialog_from_the_first_notify() -> None:
    subscribe = make_request("SUBSCRIBE", extra="Contact: <sip:alice@127.0.0.2>\n")
    notify = Request("NOTIFY", "sip:alice@127.0.0.2")
    notify.add_header("From", "<sip:bob@example.com>;tag=n1")
    notify.add_header("To", "Alice <sip:alice@example.com>;tag=a1")
    notify.add_header("Call-ID", "call-1")
    notify.add_header("CSeq", "17 NOTIFY")
    notify.add_header("Contact", "<sip:pe@127.0.0.3>")
    notify.add_header("Record-Route", "<sip:p1.example.com;lr>")
    dialog = Dialog.from_notify(subscribe, notify)
    assert dialog.id == ("call-1", "a1", "n1")
    assert dialog.route_set == ("<sip:p1.example.com;lr>",)
    assert dialog.make_request("SUBSCRIBE").header("cseq") == "2 SUBSCRIBE"
    notify.set_header("To", "Alice <sip:alice@example.com>;tag=other")
    with pytest.raises(RemoteProtocolError) as refused:
        Dialog.from_notify(subscribe, notify)
    assert refused.value.reply == "481"


def test_a_response_without_a_tag_or_a_contact_makes_no_dialog() -> None:
    request = invite()
    with pytest.raises(RemoteProtocolError, match="no tag"):
        Dialog.as_uac(request, Response(200, fields=request.fields))
    with pytest.raises(RemoteProtocolError, match="contact"):
        Dialog.as_uac(request, answer(request, 200))


@pytest.mark.parametrize("route", ["<tel:+1>", "<sip:>", "nothing"])
def test_a_record_route_that_cannot_be_followed_makes_no_dialog(route: str) -> None:
    request = make_request("INVITE", extra=f"Contact: <sip:alice@127.0.0.2>\nRecord-Route: {route}\n")
    with pytest.raises(RemoteProtocolError):
        Dialog.as_uas(request, accept(request))


@pytest.mark.parametrize("status", [100, 302, 486])
def test_other_responses_make_no_dialog(status: int) -> None:
    with pytest.raises(LocalProtocolError, match="makes no dialog"):
        caller(status)
    with pytest.raises(LocalProtocolError, match="makes no dialog"):
        callee(status)


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_ack_and_cancel_are_not_made_as_requests_of_their_own(method: str) -> None:
    with pytest.raises(LocalProtocolError, match=method):
        caller().make_request(method)


def test_a_table_finds_dialogs_and_answers_481_for_others() -> None:
    table, dialog = DialogTable(), callee()
    table.add(dialog)
    assert table.find(from_caller("BYE", 2)) is dialog
    assert table.find(make_request("OPTIONS")) is None
    table.remove(dialog)
    with pytest.raises(RemoteProtocolError) as refused:
        table.find(from_caller("BYE", 2))
    assert refused.value.reply == "481"


def test_a_full_table_refuses_with_503() -> None:
    table = DialogTable(maximum=1)
    table.add(callee())
    table.add(callee())  # the same one again takes no room
    with pytest.raises(RemoteProtocolError) as refused:
        table.add(caller())
    assert refused.value.reply == "503"
