"""Numbers as a person reads them."""

import json
import math
from collections.abc import Iterable

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    """A number in some significant digits with a true minus: 0.0123, −1.5, 3.2 × 10⁻⁶; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.{max(digits, len(str(int(abs(value)))))}g}".replace("-", "−")
    mantissa, power = f"{value:.{digits - 2}e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPT)}".replace("-", "−")


def fixed(value: float | None, decimals: int = 3) -> str:
    """A number with a fixed number of decimals, for columns: 0.500, −0.495."""
    if value is None or not math.isfinite(value):
        return number(math.nan if value is None else value)
    return f"{value:.{decimals}f}".replace("-", "−")


def small(value: float | None) -> str:
    """A number near 0, for columns: 0.0123, and 3.2 × 10⁻⁶ where four decimals would hide it."""
    return number(value, 2) if value and abs(value) < 1e-4 else fixed(value, 4)


def count(value: float | None) -> str:
    """A large number in few signs: 950, 12k, 2.56M."""
    if value is None or not math.isfinite(value):
        return number(math.nan if value is None else value)
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def ticked(value: float) -> str:
    """A number beside a tick: 0.25, −3, 12k, 10⁻⁵, 2.5×10⁻⁶."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    if 1e3 <= size < 1e7 and float(f"{value:.3g}") == round(value, 6):
        return count(value).replace("-", "−")
    return f"{value:.6g}".replace("-", "−") if 1e-3 <= size < 1e5 else _power(value)


def _power(value: float) -> str:
    mantissa, power = f"{value:.5e}".split("e")
    ten, front = f"10{str(int(power)).translate(SUPERSCRIPT)}", f"{float(mantissa):g}"
    return {"1": ten, "-1": f"−{ten}"}.get(front, f"{front}×{ten}").replace("-", "−")


def place(x: Iterable[float]) -> str:
    """A short vector: (7.00, 1.90)."""
    return "(" + ", ".join(fixed(float(part), 2) for part in x) + ")"


def setting(value: object) -> str:
    """A setting as JSON without its quotes where it is one word."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
