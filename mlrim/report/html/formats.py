"""How numbers, formulas and symbols are written in a page: sensible digits, subscripts, imaginary frequencies."""

import math
import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

MINUS = "−"


def frequency(value: float, digits: int = 1) -> str:
    """A signed frequency; imaginary ones are written as in the literature.

    >>> frequency(443.71), frequency(-120.04), frequency(-0.001)
    ('443.7', '120.0i', '0.0')
    """
    text = f"{abs(value):.{digits}f}"
    return f"{text}i" if value < 0 and float(text) > 0 else text


def number(value: float | None, digits: int = 4) -> str:
    """A number with significant digits, a true minus sign and powers of ten.

    >>> number(1234567.0), number(-0.0123456), number(0.0), number(None), number(2.0), number(0.34, 3)
    ('1.235×10⁶', '−0.01235', '0', '–', '2.000', '0.340')
    """
    if value is None or value != value:
        return "–"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 10 ** (digits + 1):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{_superscript(int(exponent))}".replace("-", MINUS)
    return _positional(value, digits).replace("-", MINUS)


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with digits after the point, as in columns of a tensor.

    >>> fixed(-1.96), fixed(-1e-9)
    ('−1.960', '0.000')
    """
    if value is None or value != value:
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def formula(text: str) -> Markup:
    """A chemical formula with subscripts.

    >>> formula("Al2O3"), formula("Ga1.4N2")
    (Markup('Al<sub>2</sub>O<sub>3</sub>'), Markup('Ga<sub>1.4</sub>N<sub>2</sub>'))
    """
    return _tagged(r"\d+(?:\.\d+)?", "sub", text)


def space_group_symbol(text: str) -> Markup:
    """A Hermann–Mauguin symbol with bars over inversion axes and subscripts of screw axes.

    >>> space_group_symbol("Fm-3m"), space_group_symbol("P4_2/mnm")
    (Markup('Fm<span class="bar">3</span>m'), Markup('P4<sub>2</sub>/mnm'))
    """
    marked = re.sub(r"-(\d)", r'<span class="bar">\1</span>', str(escape(text)))
    return Markup(re.sub(r"_(\d)", r"<sub>\1</sub>", marked))


def irrep(text: str) -> Markup:
    """A Mulliken symbol with its index below.

    >>> irrep("T1u"), irrep("A'"), irrep('E1"'), irrep("Σg+")
    (Markup('T<sub>1u</sub>'), Markup('A′'), Markup('E<sub>1</sub>″'), Markup('Σ<sub>g</sub>⁺'))
    """
    primes = text.replace("''", "″").replace('"', "″").replace("'", "′").replace("+", "⁺")
    return _tagged(r"(?<=[A-Za-zΣΠΔ])\d*[gu]?(?=$|[′″⁺ ])", "sub", primes)


def point_group(text: str) -> Markup:
    """A Schoenflies symbol with its index below.

    >>> point_group("D6h"), point_group("D∞h")
    (Markup('D<sub>6h</sub>'), Markup('D<sub>∞h</sub>'))
    """
    return _tagged(r"(?<=^[A-Z]).+", "sub", text)


def representation(text: str) -> Markup:
    """A sum of Mulliken symbols, for example `A1g + 2Eg`."""
    return Markup(" + ").join(
        Markup("").join((match.group(1), irrep(match.group(2))))
        for part in text.split(" + ")
        if (match := re.fullmatch(r"(\d*)(.*)", part))
    )


def html_label(text: str) -> str:
    """A label with an index as charts write it.

    >>> html_label("X_1"), html_label("Γ|K")
    ('X<sub>1</sub>', 'Γ|K')
    """
    return str(_tagged(r"_(\w+)", "sub", text))


def heading(text: str) -> Markup:
    """A heading of the program's own, whose subscripts stay.

    >>> heading("U<sub>iso</sub> & <b>")
    Markup('U<sub>iso</sub> &amp; &lt;b&gt;')
    """
    return Markup(str(escape(text)).replace("&lt;sub&gt;", "<sub>").replace("&lt;/sub&gt;", "</sub>"))


def _tagged(pattern: str, tag: str, text: str) -> Markup:
    """The text, escaped, with matches of the pattern (its group, where it has one) inside a tag."""
    parts, position = [], 0
    for match in re.finditer(pattern, text):
        content = match.group(match.lastindex or 0)
        if content:
            parts += [escape(text[position : match.start()]), Markup(f"<{tag}>{{}}</{tag}>").format(content)]
            position = match.end()
    return Markup("").join([*parts, escape(text[position:])])


def _positional(value: float, digits: int) -> str:
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, places)}f}"


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


FILTERS: dict[str, Callable[..., Any]] = {
    "frequency": frequency,
    "number": number,
    "fixed": fixed,
    "formula": formula,
    "space_group_symbol": space_group_symbol,
    "irrep": irrep,
    "point_group": point_group,
    "representation": representation,
    "heading": heading,
}
