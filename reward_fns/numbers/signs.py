r"""Signs that numbers are written with, in one table for all readers: vulgar fractions and thousands separators.

    VULGAR["⅔"]                                   -> (2, 3)
    re.compile(rf"\d{{1,3}}(?:{SEPARATOR}\d{{3}})+")   finds 1,234 and 1{,}234 and 1\,234 and 1'234

Not here: numbers in words (words.py), numerals that are made of these signs (numerals.py).
"""

VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
    "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8),
    "⅑": (1, 9), "⅒": (1, 10),
}  # fmt: skip

SEPARATOR = r"(?:,\s?\\!\s?|,|\s?\{\s?,\s?\}\s?|\\,\s?|\\!|[\u202f\u00a0\u2009’'])"
"""Between groups of three digits; a plain blank is one only where the whole text is a number."""
