"""Units of measurement: how they are written, which are the same, and conversion between them.

A unit is a product of atoms from a closed table, so that no other text ever reaches the converter
(pint, which is asked only when two units differ).
"""

import logging
import re
from functools import lru_cache
from typing import Any

# How an atom may be written (in lower case) -> what it is called here, as pint understands it.
_ATOMS = {
    name: atom
    for atom, names in {
        "kg": "kg kgs kilogram kilograms kilo kilos",
        "g": "g gm gms gram grams",
        "mg": "mg mgs milligram milligrams",
        "ug": "ug mcg μg microgram micrograms",
        "ng": "ng nanogram nanograms",
        "pg": "pg picogram picograms",
        "lb": "lb lbs pound pounds",
        "oz": "oz ounce ounces",
        "L": "l liter liters litre litres",
        "dL": "dl deciliter deciliters decilitre decilitres",
        "mL": "ml cc milliliter milliliters millilitre millilitres",
        "uL": "ul μl microliter microliters microlitre microlitres",
        "mol": "mol mole moles",
        "mmol": "mmol millimole millimoles",
        "umol": "umol μmol micromole micromoles",
        "nmol": "nmol nanomole nanomoles",
        "pmol": "pmol picomole picomoles",
        "mEq": "meq milliequivalent milliequivalents",
        "mOsm": "mosm mosmol milliosmole milliosmoles",
        "IU": "iu",
        "mIU": "miu",
        "uIU": "uiu μiu",
        "U": "u unit units",
        "mU": "mu",
        "uU": "uu μu",
        "km": "km kilometer kilometers",
        "m": "m meter meters metre metres",
        "cm": "cm cms centimeter centimeters centimetre centimetres",
        "mm": "mm millimeter millimeters millimetre millimetres",
        "um": "um μm micron microns micrometer micrometers",
        "inch": "in inch inches",
        "ft": "ft foot feet",
        "s": "s sec secs second seconds",
        "ms": "ms msec msecs millisecond milliseconds",
        "min": "min mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "d day days",
        "week": "wk wks week weeks",
        "month": "month months",
        "year": "yr yrs year years",
        "mmHg": "mmhg",
        "cmH2O": "cmh2o",
        "Pa": "pa",
        "kPa": "kpa",
        "degC": "°c celsius",
        "degF": "°f fahrenheit",
        "degK": "kelvin",
        "kcal": "kcal kilocalorie kilocalories",
        "kJ": "kj kilojoule kilojoules",
        "bpm": "bpm",
        "beat": "beat beats",
        "breath": "breath breaths",
        "percent": "% percent",
        "point": "point points pt pts",
    }.items()
    for name in names.split()
} | {
    name: atom
    for atom, names in {
        "kg": "公斤 千克",
        "g": "克",
        "mg": "毫克",
        "ug": "微克",
        "L": "升",
        "mL": "毫升",
        "m": "米",
        "cm": "厘米 公分",
        "mm": "毫米",
        "s": "秒 秒钟",
        "min": "分钟",
        "hour": "小时",
        "day": "天",
        "week": "周",
        "year": "年",
        "mmHg": "毫米汞柱",
        "point": "分",
    }.items()
    for name in names.split()
}
_ATOM = "|".join(sorted(map(re.escape, _ATOMS), key=len, reverse=True))
_POWER = r"(?:\s?\^?\s?([23])(?![\d.]))?"
_AREA = r"(?:\s?/\s?\(?1\.73\s?(?:m\s?\^?\s?2)\)?)?"  # GFR is quoted per standard body surface
_ONE = rf"(?:{_ATOM}){_POWER}(?![a-z])"
WRITTEN = re.compile(
    rf"(?:mm hg|cm h2o|(?:degrees?|°|deg) ?(?:c|f|celsius|fahrenheit)\b"
    rf"|{_ONE}(?:\s?(?:/|\*|·|\bper\b)\s?{_ONE}){{0,3}}{_AREA})".replace("([23])", "[23]"),
    re.I,
)
_TOKEN = re.compile(rf"(/|\bper\b)|({_ATOM}){_POWER}(?![a-z])", re.I)
_DEGREES = re.compile(r"(?:degrees?|°|deg) ?(c|f)\w*", re.I)


@lru_cache(maxsize=1024)
def canonical(text: str) -> str | None:
    """How the unit `text` is spelled here, None if it is not one.

    >>> canonical("mg/dl"), canonical("mm Hg"), canonical("kg per m²"), canonical("mL/min/1.73 m²")
    ('mg/dL', 'mmHg', 'kg/m^2', 'mL/min')
    """
    text = text.strip().replace("²", "^2").replace("³", "^3").replace("µ", "μ").lower()
    if not WRITTEN.fullmatch(text):
        return None
    if degrees := _DEGREES.fullmatch(text):
        return "deg" + degrees[1].upper()
    text = re.sub(r"mm hg", "mmhg", re.sub(r"cm h2o", "cmh2o", text))
    text = re.sub(r"/\s?\(?1\.73.*$", "", text)
    spelled = ""
    for per, atom, power in _TOKEN.findall(text):
        if per:
            spelled += "/"
        else:
            spelled += ("*" if spelled and spelled[-1] != "/" else "") + _ATOMS[atom.lower()]
            spelled += f"^{power}" if power else ""
    return spelled


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    logging.getLogger("pint").setLevel(logging.ERROR)  # it warns of every unit that is redefined
    registry: Any = pint.UnitRegistry()
    registry.define("mEq = [charge_equivalent]")
    registry.define("mOsm = [osmole]")
    registry.define("IU = [international_unit]")
    registry.define("mIU = 0.001 * IU")
    registry.define("uIU = 0.000001 * IU")
    registry.define("U = [unit_of_activity]")
    registry.define("mU = 0.001 * U")
    registry.define("uU = 0.000001 * U")
    registry.define("beat = [beat]")
    registry.define("breath = [breath]")
    registry.define("point = [point]")
    registry.define("bpm = beat / minute")
    return registry


@lru_cache(maxsize=4096)
def converted(number: float, unit: str, target: str) -> float | None:
    """`number` of `unit` in `target`, both as `canonical` spells them; None if they don't compare."""
    if unit == target:
        return number
    import pint

    registry = _registry()
    try:
        quantity = registry.Quantity(number, registry.parse_units(unit))
        return float(quantity.to(registry.parse_units(target)).magnitude)
    except (pint.DimensionalityError, pint.UndefinedUnitError, pint.OffsetUnitCalculusError, OverflowError):
        return None
