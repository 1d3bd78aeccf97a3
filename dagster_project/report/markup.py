"""HTML and SVG elements as text. Everything that is not markup already is escaped, so data cannot become markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is markup: made by this module, or a literal of the code, never data."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: object) -> Markup:
    """`<name attributes>children</name>`: children that are no Markup, and all attribute values, are escaped.

    An attribute `class_` is written `class`, `stroke_width` is written `stroke-width`; None leaves it out.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Iterable[str], separator: str = "") -> Markup:
    """The children one after another, escaped where they are no Markup."""
    return Markup(separator.join(child if isinstance(child, Markup) else escape(child) for child in children))
