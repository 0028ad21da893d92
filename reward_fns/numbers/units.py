r"""Units after a number: which words are units, and whether two of them can be converted.

    read("cm^2")        -> Unit(dimension="length^2", factor=Fraction(1, 10000), base="cm")
    conversion("m", "cm") -> Fraction(100)        # multiply a value in m to get it in cm
    is_label("apples left")  -> True              # harmless words after a number
    is_label("x + 1")        -> False             # that is mathematics

Factors are exact. Only units that answers to school and chart questions use; an unknown word is a label and never
converts.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from reward_fns.answer.wrappers import FONT


class Unit(NamedTuple):
    """A unit as a power of one base dimension, or a compound such as km/h with its own dimension name."""

    dimension: str
    factor: Fraction
    base: str


_TABLE: dict[str, tuple[str, str]] = {
    # dimension: "factor names" lines, the factor relative to the SI unit
    "length": (
        "1 m meter meters metre metres|1/100 cm centimeter centimeters centimetre centimetres cms"
        "|1/1000 mm millimeter millimeters millimetre"
        " millimetres|1000 km kilometer kilometers kilometre kilometres kms"
        "|1/10 dm decimeter decimeters|1/1000000 µm μm um micrometer"
        " micrometers micron microns|1/1000000000 nm nanometer nanometers|0.0254 in inch inches"
        "|0.3048 ft foot feet|0.9144 yd yard yards|"
        "1609.344 mi mile miles",
        "",
    ),
    "mass": (
        "1 kg kilogram kilograms kgs kilo kilos|1/1000 g gram grams gm"
        "|1/1000000 mg milligram milligrams|1000 t tonne tonnes|"
        "0.45359237 lb lbs pound pounds|0.028349523125 oz ounce ounces",
        "",
    ),
    "time": (
        "1 s sec secs second seconds|60 min mins minute minutes|3600 h hr hrs hour hours"
        "|86400 day days|604800 week weeks|"
        "1/1000 ms millisecond milliseconds|1/1000000 µs μs us microsecond microseconds"
        "|1/1000000000 ns nanosecond nanoseconds",
        "",
    ),
    "calendar": ("1 month months|12 year years yr yrs", ""),
    "volume": ("1 L l liter liters litre litres|1/1000 mL ml milliliter milliliters millilitre millilitres", ""),
    "angle": ("1 ° degree degrees deg \\circ °|180/pi rad radian radians", ""),
    "money": ("1 dollar dollars usd USD bucks|1/100 cent cents ¢", ""),
    "force": ("1 N newton newtons Newton Newtons|1000 kN", ""),
    "energy": (
        "1 J joule joules|1000 kJ kilojoule kilojoules|4.184 cal calorie calories|4184 kcal|1000000 MJ|3600000 kWh",
        "",
    ),
    "power": ("1 W watt watts|1000 kW kilowatt kilowatts|1000000 MW|1/1000 mW", ""),
    "voltage": ("1 V volt volts|1/1000 mV|1000 kV", ""),
    "current": ("1 A amp amps ampere amperes|1/1000 mA|1/1000000 µA μA uA", ""),
    "resistance": ("1 Ω ohm ohms \\Omega|1000 kΩ k\\Omega kilohm kilohms", ""),
    "pressure": ("1 Pa pascal pascals|1000 kPa|1000000 MPa|100000 bar|101325 atm", ""),
    "frequency": ("1 Hz hertz|1000 kHz|1000000 MHz|1000000000 GHz", ""),
    "charge": ("1 C coulomb coulombs|1/1000000 µC μC uC|1/1000000000 nC", ""),
    "capacitance": ("1 F farad farads|1/1000000 µF μF uF|1/1000000000 nF|1/1000000000000 pF", ""),
    "temperature": ("1 K kelvin", ""),
    "celsius": ("1 °C celsius Celsius", ""),
    "fahrenheit": ("1 °F fahrenheit Fahrenheit", ""),
    "morning": ("1 am AM", ""),
    "afternoon": ("1 pm PM", ""),
    "amount": ("1 mol mole moles|1/1000 mmol", ""),
    "length/time": ("1/3.6 km/h kmh kph kmph km/hr|1 m/s mps|0.44704 mph", ""),
}


def _fraction(text: str) -> Fraction | None:
    if text == "180/pi":
        return None  # degrees and radians are not an exact multiple: handled by the mathematics family
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")


UNITS: dict[str, Unit] = {}
for _dimension, (_lines, _) in _TABLE.items():
    for _line in _lines.split("|"):
        _factor, *_names = _line.split()
        _value = _fraction(_factor)
        for _name in _names:
            if _value is not None:
                UNITS[_name] = Unit(_dimension, _value, _names[0])
            else:
                UNITS[_name] = Unit("radian", Fraction(1), _names[0])

_LATEX = re.compile(rf"{FONT}|[{{}}$~]|\\[,;:! ]|\\quad")
_POWERED = re.compile(
    r"(?i)^(?:(?P<words>square|sq\.?|cubic"
    r"|cu\.?)\s*)?(?P<unit>[A-Za-zµμΩ°\\]+)\s*(?:\^?\s*(?P<power>[23])|(?P<super>[²³])|\s+(?P<after>squared|cubed))?$"
)


_INVERSE = re.compile(r"(?<=\w)[\s·.*]+([A-Za-z]+)\s*\^\s*-1$")  # m s^-1


@lru_cache(maxsize=4096)
def read(text: str) -> Unit | None:
    """The unit that ``text`` names, None when it is none that we know."""
    bare = _LATEX.sub("", text).strip(" .,;:()^")
    bare = _INVERSE.sub(r"/\1", re.sub(r"\s+per\s+", "/", bare))
    bare = {"sq ft": "ft^2", "cc": "cm^3", "square": "", "hectare": "", "units": "", "unit": ""}.get(bare, bare)
    if not bare or len(bare) > 40:
        return None
    found = UNITS.get(bare) or UNITS.get(bare.lower())
    if found is not None:
        return found
    match = _POWERED.match(bare)
    if match is not None:
        unit = UNITS.get(match["unit"]) or UNITS.get(match["unit"].lower())
        if unit is None:
            return None
        word = (match["words"] or "").lower()
        power = (
            2 if word.startswith("sq") or match["super"] == "²" or match["after"] == "squared"
            else 3 if word.startswith("cu") or match["super"] == "³" or match["after"] == "cubed"
            else int(match["power"] or 1)
        )  # fmt: skip
        return Unit(f"{unit.dimension}^{power}" if power > 1 else unit.dimension, unit.factor**power, unit.base)
    top, slash, bottom = bare.partition("/")
    if slash:
        above, below = read(top), read(bottom)
        if above is not None and below is not None:
            return Unit(f"{above.dimension}/{below.dimension}", above.factor / below.factor, bare)
    return None


def conversion(given: str, wanted: str) -> Fraction | None:
    """What a value in ``given`` is multiplied by to be in ``wanted``; 1 when a unit is unknown or missing; None when
    they clash.

    A forgotten power ("12 cm" for an area of 12 cm^2) is no clash: the number is what is asked.
    """
    one, two = read(given), read(wanted)
    if one is None or two is None:
        return Fraction(1)
    if one.dimension == two.dimension:
        return one.factor / two.factor
    if one.dimension.split("^")[0] == two.dimension.split("^")[0]:
        return Fraction(1) if one.base == two.base else None
    return None


_LABEL = re.compile(r"(?:[A-Za-zµμΩ°²³′″'%€£¥.,()/\s-]|\^\s*\d|\^\s*-\d)*")
_MATHEMATICS = re.compile(
    r"(?<![A-Za-zµμΩ°])(?!(?:[msghLNJWVAKCFΩ]|[IA])(?![A-Za-z]))[A-Za-z](?![A-Za-z'’µμΩ°.])|[=<>+*×÷√\\|]"
)
_NAMES = re.compile(r"\\(?:circ|degree|Omega|mu|%|deg|pounds|euro)\b|\\%")


@lru_cache(maxsize=4096)
def is_label(text: str) -> bool:
    """Whether ``text`` after a number is a unit or harmless words, not more mathematics or a second value."""
    bare = _LATEX.sub(" ", _NAMES.sub("°", text)).strip()
    if len(bare) > 120:
        return False
    if not bare or read(text) is not None:
        return True
    return bare[0] not in "^-" and _LABEL.fullmatch(bare) is not None and _MATHEMATICS.search(bare) is None
