"""Word lists of the auditor: numbers, sides without a name, people's adjectives, capitals that name nobody."""

from __future__ import annotations

_NUMBERS = (
    "nil one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth"
)
NUMBERS: dict[str, str] = {
    **{word: str(n) for n, word in enumerate(_NUMBERS.split())},
    **{word: str(n * 10) for n, word in enumerate(_TENS.split(), 2)},
    "zero": "0",
}


def _ordinal(n: int) -> str:
    return f"{n}{'th' if n in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n, 'th')}"


ORDINALS: dict[str, str] = {
    **{word: _ordinal(n) for n, word in enumerate(_ORDINALS.split(), 1)},
    **{f"{word[:-1]}ieth": f"{n * 10}th" for n, word in enumerate(_TENS.split(), 2)},
}

HOME_WORDS = ("the home side", "the home team", "the hosts", "home side", "hosts")
AWAY_WORDS = ("the away side", "the away team", "the visitors", "away side", "visitors", "the visiting side")

# Folded name of a national side -> what its players and people are called.
DEMONYMS: dict[str, tuple[str, ...]] = {
    "argentina": ("argentine", "argentines", "argentinian", "argentinians"),
    "australia": ("australian", "australians", "aussies"),
    "belgium": ("belgian", "belgians"),
    "brazil": ("brazilian", "brazilians"),
    "colombia": ("colombian", "colombians"),
    "croatia": ("croatian", "croatians", "croats"),
    "denmark": ("danish", "dane", "danes"),
    "england": ("english", "englishman", "englishmen"),
    "france": ("french", "frenchman", "frenchmen"),
    "germany": ("german", "germans"),
    "italy": ("italian", "italians"),
    "japan": ("japanese",),
    "mexico": ("mexican", "mexicans"),
    "morocco": ("moroccan", "moroccans"),
    "netherlands": ("dutch", "dutchman", "dutchmen"),
    "nigeria": ("nigerian", "nigerians"),
    "norway": ("norwegian", "norwegians"),
    "poland": ("polish", "poles"),
    "portugal": ("portuguese",),
    "scotland": ("scottish", "scot", "scots"),
    "senegal": ("senegalese",),
    "spain": ("spanish", "spaniard", "spaniards"),
    "sweden": ("swedish", "swede", "swedes"),
    "switzerland": ("swiss",),
    "united states": ("american", "americans"),
    "uruguay": ("uruguayan", "uruguayans"),
    "wales": ("welsh", "welshman", "welshmen"),
}

# Words written with a capital inside a sentence that name no person and no side.
_CAPITALS = (
    "i var world cup league final semi quarter goal penalty ok lord god boxing day mr uefa fifa fa monday tuesday "
    "wednesday thursday friday saturday sunday january february march april may june july august september october "
    "november december"
)
PLAIN_CAPITALS = frozenset(_CAPITALS.split())

# Words that begin a sentence before "are", "have", "is" and the like without being a name.
_NO_NAMES = (
    "we they he she it you who what which that this these those there here where nobody everybody everyone someone "
    "anyone none both all each either neither everything nothing something time how why when minutes half goals the "
    "players fans things substitutes substitution keeper goalkeeper captain referee scores score legs spirits hearts "
    "heads hopes emotions celebrations play treatment drama number"
)
NO_NAMES = frozenset(_NO_NAMES.split())
