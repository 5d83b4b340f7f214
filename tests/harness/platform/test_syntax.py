"""How commands are written, matched and completed."""

import pytest

from harness.platform.syntax import Argument, Choice, Completion, Syntax, Word, complete

SERVICES = ("Cisco SIP Proxy", "Cisco XCP Router", "Cisco XCP Connection Manager")
UNITS = ("cup", "cup-xmpp", "tomcat")


def completed(line: str) -> Completion:
    forms = {
        Syntax.parse("show cert list own|trust"): lambda name: (),
        Syntax.parse("show cert own NAME"): lambda name: UNITS,
        Syntax.parse("show csr own NAME"): lambda name: UNITS,
        Syntax.parse("utils service restart NAME..."): lambda name: SERVICES,
        Syntax.parse("utils service list"): lambda name: (),
    }
    return complete(line, forms)


def test_a_form_has_words_choices_and_arguments() -> None:
    syntax = Syntax.parse("set cert import own|trust NAME")
    assert syntax.tokens == (
        Word("set"), Word("cert"), Word("import"), Choice(("own", "trust")), Argument("NAME"),
    )  # fmt: skip
    assert syntax.words == "set cert import"


@pytest.mark.parametrize(
    ("form", "line", "values"),
    [
        ("set cert import own|trust NAME", "set cert import trust cup", ("trust", "cup")),
        ("set cert import own|trust NAME", "set cert import other cup", None),
        ("set cert import own|trust NAME", "set cert import trust", None),
        ("set cert import own|trust NAME", "set cert import trust cup more", None),
        ("set cert import own|trust NAME", "Set cert import trust cup", None),
        ("utils service start NAME...", "utils service start Cisco SIP  Proxy", ("Cisco SIP Proxy",)),
        ("utils service start NAME...", "utils service start", None),
        ("help [COMMAND...]", "help", ("",)),
        ("help [COMMAND...]", "help show cert", ("show cert",)),
    ],
)
def test_a_line_is_matched(form: str, line: str, values: tuple[str, ...] | None) -> None:
    assert Syntax.parse(form).match(line.split()) == values


@pytest.mark.parametrize(
    ("line", "longer", "candidates"),
    [
        ("", "", ("show", "utils")),
        ("sh", "show ", ("show",)),
        ("show c", "show c", ("cert", "csr")),
        ("show cert", "show cert ", ("cert",)),
        ("show cert ", "show cert ", ("list", "own")),
        ("show cert list t", "show cert list trust ", ("trust",)),
        ("show cert own c", "show cert own cup", ("cup", "cup-xmpp")),
        ("show cert own cup-", "show cert own cup-xmpp ", ("cup-xmpp",)),
        ("utils service restart C", "utils service restart Cisco ", SERVICES),
        ("utils service restart Cisco X", "utils service restart Cisco XCP ",
         ("XCP Connection Manager", "XCP Router")),
        ("utils service restart Cisco XCP R", "utils service restart Cisco XCP Router ", ("Router",)),
        ("nothing like it", "nothing like it", ()),
        ("show cert list own more", "show cert list own more", ()),
    ],
)  # fmt: skip
def test_the_tab_key(line: str, longer: str, candidates: tuple[str, ...]) -> None:
    completion = completed(line)
    assert completion.line == longer
    assert completion.candidates == tuple(sorted(candidates))
