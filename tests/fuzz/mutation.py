"""Makes wrong input out of right input, from a seed alone: the same seed gives the same bytes on every machine."""

import random
import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

MAXIMUM: Final = 64 * 1024
"Bytes of one input."

_NUMBERS: Final = (
    b"0",
    b"-1",
    b"1",
    b"255",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"18446744073709551616",
    b"9" * 40,
)
_NUMBER: Final = re.compile(rb"[0-9]+")
_EVIL: Final = (
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbf\xbf",
    b"\xe2\x80\xae",
    b"\r\n\r\n",
    b"\r",
    b"%s%n",
    b"'",
    b'"',
    b"<",
    b">",
    b"&",
    b"]]>",
)


def chance(seed: int, number: int) -> random.Random:
    """Return the only source of chance of one input."""
    return random.Random(f"{seed}/{number}")


def mutate(rng: random.Random, corpus: Sequence[bytes], dictionary: Sequence[bytes]) -> bytes:
    """Return one of the corpus with one to six things changed; now and then it stays as it is."""
    data = rng.choice(corpus)
    if rng.random() < 0.03:
        return data
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        data = _once(rng, data, corpus, dictionary)
    return data[:MAXIMUM]


def _once(rng: random.Random, data: bytes, corpus: Sequence[bytes], dictionary: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(data))
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 4, 8, 16, 64, 256)))
    match rng.randrange(10):
        case 0:  # a bit
            if not data:
                return data
            at = rng.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:end] + data[start:end] * rng.choice((1, 2, 7, 100)) + data[end:]
        case 3:
            return data[:start] + rng.choice(dictionary) + data[end:]
        case 4:
            return data[:start] + rng.choice(_EVIL) + data[start:]
        case 5:
            found = list(_NUMBER.finditer(data))
            if not found:
                return data
            number = rng.choice(found)
            return data[: number.start()] + rng.choice(_NUMBERS) + data[number.end() :]
        case 6:  # one half of this, the other of another
            other = rng.choice(corpus)
            return data[:start] + other[rng.randint(0, len(other)) :]
        case 7:
            return data[:start]
        case 8:
            return data[:start] + rng.randbytes(rng.choice((1, 3, 17, 200))) + data[end:]
        case _:
            return data[:start] + rng.choice(dictionary) * rng.choice((1, 2, 50, 2000)) + data[start:]


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut input as a network may: whole, byte by byte, or anyhow."""
    match rng.randrange(4):
        case 0:
            return [data]
        case 1 if len(data) < 3000:
            return [data[i : i + 1] for i in range(len(data))]
        case _:
            cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.choice((1, 3, 9))))
            return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def mutate_tree(
    rng: random.Random, tree: ET.Element, values: Sequence[str], names: Sequence[str]
) -> ET.Element:
    """Change a well-formed tree into another well-formed one: for what lies behind the XML reader."""
    tree = ET.fromstring(ET.tostring(tree))
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        element = rng.choice(list(tree.iter()))
        children = list(element)
        match rng.randrange(8):
            case 0 if element.attrib:
                element.set(rng.choice(list(element.attrib)), rng.choice(values))
            case 1:
                element.set(
                    rng.choice(("to", "from", "type", "id", "node", "jid", "ver", "var")), rng.choice(values)
                )
            case 2 if element.attrib:
                del element.attrib[rng.choice(list(element.attrib))]
            case 3 if children:
                element.remove(rng.choice(children))
            case 4 if children:
                element.append(ET.fromstring(ET.tostring(rng.choice(children))))
            case 5 if element is not tree:
                element.tag = rng.choice(names)
            case 6:
                element.text = rng.choice(values)
            case _:
                ET.SubElement(element, rng.choice(names))
    return tree
