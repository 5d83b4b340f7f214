"""Data forms (XEP-0004): what a person or a program fills in, by the names of its fields (XEP-0068)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from certs.errors import RemoteProtocolError
from proxies.xmpp import namespaces as ns

FORM_TYPE: Final = "FORM_TYPE"
MAXIMUM_FIELDS: Final = 200
"Fields that a submitted form may have."

_X: Final = f"{{{ns.DATA_FORMS}}}x"
_FIELD: Final = f"{{{ns.DATA_FORMS}}}field"
_VALUE: Final = f"{{{ns.DATA_FORMS}}}value"
_OPTION: Final = f"{{{ns.DATA_FORMS}}}option"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form that we show."""

    var: str
    "Its name."

    values: tuple[str, ...] = ()
    "The values it has now."

    type: str = ""
    "A type of section 3.3, as `boolean`; empty in a form of type `result`."

    label: str = ""
    "Its name for people."

    options: tuple[str, ...] = ()
    "What can be chosen in a list."

    def element(self) -> ET.Element:
        """Return the `<field/>`."""
        attributes = {"var": self.var, "type": self.type, "label": self.label}
        field = ET.Element(_FIELD, {name: value for name, value in attributes.items() if value})
        for value in self.values:
            ET.SubElement(field, _VALUE).text = value
        for option in self.options:
            ET.SubElement(ET.SubElement(field, _OPTION), _VALUE).text = option
        return field


def form_element(
    form_type: str, fields: Iterable[FormField], *, type_: str = "form", title: str = ""
) -> ET.Element:
    """Return a form to be filled in, or one that tells results, of a registered FORM_TYPE."""
    form = ET.Element(_X, {"type": type_})
    if title:
        ET.SubElement(form, f"{{{ns.DATA_FORMS}}}title").text = title
    form.append(FormField(FORM_TYPE, (form_type,), "hidden").element())
    form.extend(field.element() for field in fields)
    return form


def find_form(parent: ET.Element) -> ET.Element | None:
    """Return the form among an element's children, or None."""
    return parent.find(_X)


def parse_submission(form: ET.Element, form_type: str) -> Mapping[str, tuple[str, ...]]:
    """Return the values of a submitted form by its fields' names.

    Raises RemoteProtocolError (`bad-request`) where it is not a submission of that FORM_TYPE.
    """
    if form.get("type") != "submit":
        raise RemoteProtocolError(
            f"expected a form of type submit, seen {form.get('type', '')[:20]!r}", reply="bad-request"
        )
    fields = form.findall(_FIELD)
    if len(fields) > MAXIMUM_FIELDS:
        raise RemoteProtocolError(f"a form may have {MAXIMUM_FIELDS} fields", reply="bad-request")
    values = {
        field.get("var", ""): tuple((value.text or "").strip() for value in field.iter(_VALUE))
        for field in fields
    }
    # Clients leave FORM_TYPE out of an otherwise empty form, which accepts the defaults.
    if values and values.get(FORM_TYPE) != (form_type,):
        raise RemoteProtocolError(f"expected a form of FORM_TYPE {form_type}", reply="bad-request")
    return values


def parse_boolean(text: str) -> bool:
    """Return the value of a boolean field (section 3.3).

    Raises RemoteProtocolError (`bad-request`) where it is none.
    """
    match text:
        case "1" | "true":
            return True
        case "0" | "false":
            return False
        case _:
            raise RemoteProtocolError(f"{text[:20]!r} is not a boolean", reply="bad-request")
