"""URLs and text, byte for byte as they go over the wire."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes


def utf8(text: str) -> bytes:
    """UTF-8, with U+FFFD instead of what is no character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def cut_url(url: str) -> tuple[str, str | None, str]:
    """`before?query#fragment` cut at its marks; the fragment keeps its `#`."""
    whole, hash_mark, fragment = url.partition("#")
    before, mark, query = whole.partition("?")
    return before, query if mark else None, hash_mark + fragment


def decode(text: str) -> str:
    """Percent-decoded. Raises ValueError when it is not percent-encoded UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("not percent-encoded")
    return unquote_to_bytes(text).decode()


def parameter_name(pair: str) -> str:
    """As a form decodes it; what cannot be decoded is a name of its own."""
    name = pair.split("=", 1)[0]
    try:
        return decode(name.replace("+", " "))
    except ValueError:
        return name
