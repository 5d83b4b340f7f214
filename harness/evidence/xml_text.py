"""Text that XML can hold: what a peer sent may have characters that no document may."""

import re
from typing import Final

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"Characters that XML 1.0 2.2 does not allow."


def clean(text: str) -> str:
    """Return the text with a replacement character for each that XML does not allow."""
    return _NOT_XML.sub("�", text)
