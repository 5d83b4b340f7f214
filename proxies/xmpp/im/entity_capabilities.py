"""Entity capabilities (XEP-0115): what an entity can do, as one hash."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from proxies.xmpp import namespaces as ns


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """What kind of entity it is (XEP-0030 section 3.1)."""

    category: str
    "As registered: `server`, `account`, `pubsub`, ..."

    type: str
    "Within the category: `im`, `registered`, `pep`, ..."

    name: str = ""
    "A name for people."

    def element(self) -> ET.Element:
        """Return the identity as service discovery shows it."""
        attributes = {"category": self.category, "type": self.type}
        if self.name:
            attributes["name"] = self.name
        return ET.Element(f"{{{ns.DISCO_INFO}}}identity", attributes)


def verification_string(identities: Iterable[Identity], features: Iterable[str]) -> str:
    """Return the `ver` of an entity without extended information (section 5.1)."""
    # No identity has a language here, hence the two slashes.
    parts = [f"{each.category}/{each.type}//{each.name}" for each in sorted(identities)]
    parts += sorted(features)
    text = "".join(f"{escape(part)}<" for part in parts)
    return base64.b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()


def capabilities_element(node: str, ver: str) -> ET.Element:
    """Return the `<c/>` for presence or stream features (sections 4 and 6.3)."""
    return ET.Element(f"{{{ns.CAPS}}}c", {"hash": "sha-1", "node": node, "ver": ver})
