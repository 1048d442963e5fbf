"""Synthetic people: names in many scripts, telephone numbers and mail addresses. Nobody here exists.

The numbers have the form of valid German ones (Germany has too few numbers reserved for fiction to give each patient
his own), so a hospital from here must never be pointed at a real provider. Mail domains are those of RFC 2606.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

Telecom = dict[str, Any]

DOMAINS = ("example.org", "post.example.org", "mail.example", "familie.example")

_MOBILE_PREFIXES = {"151": 8, "152": 8, "157": 8, "159": 8, "160": 7, "162": 7, "163": 7, "170": 7, "175": 7, "176": 8}
_FOREIGN_MOBILES = {"+48512": 6, "+90532": 7, "+39333": 7, "+43664": 7, "+4179": 7}
_LANDLINES = {"+4930": 8, "+4940": 8, "+4989": 7, "+49221": 7}


@dataclass(frozen=True, slots=True)
class Script:
    """Given and family names that belong together, and the language that such a patient mostly speaks."""

    name: str
    share: float
    language: str
    given: tuple[str, ...]
    family: tuple[str, ...]


SCRIPTS = (
    Script(
        "latin",
        0.86,
        "de",
        (
            *(
                "Anna",
                "Jürgen",
                "Zoë",
                "Lena",
                "Björn",
                "Käthe",
                "Paul",
                "Søren",
                "Renée",
                "Maximilian",
                "Ida",
                "Günther",
            ),
            *(
                "Chloë",
                "Jan-Ole",
                "Marie-Luise",
                "Theo",
                "Nuño",
                "Łucja",
                "Mehmet",
                "Ayşe",
                "Ștefan",
                "Đorđe",
                "Emma",
                "Otto",
            ),
        ),
        (
            *(
                "Müller",
                "Schäfer",
                "Weiß",
                "Größer",
                "Schmidt",
                "van den Berg",
                "O'Neill",
                "Öztürk",
                "Nguyễn",
                "Kowalski",
            ),
            *(
                "Özdemir",
                "D'Angelo",
                "von der Heide",
                "Lindström",
                "Fischer",
                "Becker-Krüger",
                "Novák",
                "Jørgensen",
                "Koch",
                "Wu",
            ),
        ),
    ),
    Script("greek", 0.03, "de", ("Ελένη", "Γιώργος", "Σοφία", "Νίκος"), ("Παπαδόπουλος", "Γεωργίου", "Οικονόμου")),
    Script("cyrillic", 0.04, "en", ("Ольга", "Дмитро", "Наталія", "Сергей"), ("Шевченко", "Иванова", "Ковальчук")),
    Script("arabic", 0.03, "en", ("محمد", "فاطمة", "ليلى", "يوسف"), ("العلي", "حداد", "المصري")),
    Script("chinese", 0.02, "en", ("伟", "芳", "秀英", "小明"), ("王", "李", "欧阳")),
    Script("devanagari", 0.02, "en", ("आशा", "राज", "प्रिया", "अर्जुन"), ("शर्मा", "पटेल", "सिंह")),
)


class Registry:
    """Hands out people one by one. Deterministic for a Random; the first ones show every script once."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._turns = count()
        self._numbers: set[str] = set()
        self.landlines: set[str] = set()
        self.e164: dict[str, str] = {}  # of numbers that are written otherwise
        self._mailboxes = count(1)

    def name(self) -> tuple[Script, str, str]:
        """Script, given name and family name of the next person."""
        turn = next(self._turns)
        script = (
            SCRIPTS[turn]
            if turn < len(SCRIPTS)
            else self._rng.choices(SCRIPTS, weights=[script.share for script in SCRIPTS])[0]
        )
        return script, self._rng.choice(script.given), self._rng.choice(script.family)

    def mobile(self, **fields: Any) -> Telecom:
        """A German mobile number, written as people write them."""
        prefix, length = self._rng.choice(tuple(_MOBILE_PREFIXES.items()))
        number = self._unused("+49" + prefix, length)
        return {"system": "phone", "value": self._written(number), "use": "mobile"} | fields

    def foreign_mobile(self, **fields: Any) -> Telecom:
        """A mobile number of a neighbouring country, in E.164."""
        prefix, length = self._rng.choice(tuple(_FOREIGN_MOBILES.items()))
        return {"system": "phone", "value": self._unused(prefix, length), "use": "mobile"} | fields

    def landline(self, **fields: Any) -> Telecom:
        """A German fixed line, which takes no SMS."""
        prefix, length = self._rng.choice(tuple(_LANDLINES.items()))
        number = self._unused(prefix, length)
        self.landlines.add(number)
        return {"system": "phone", "value": number, "use": "home"} | fields

    def email(self, **fields: Any) -> Telecom:
        """A mailbox under a domain reserved for examples."""
        value = f"patient{next(self._mailboxes)}@{self._rng.choice(DOMAINS)}"
        return {"system": "email", "value": value, "use": "home"} | fields

    def _unused(self, prefix: str, length: int) -> str:
        """The last four digits are 1000 or more, so that no patient has one of the provider's failing numbers."""
        while True:
            head = self._rng.randrange(2 * 10 ** (length - 5), 10 ** (length - 4))
            number = f"{prefix}{head}{self._rng.randrange(1000, 10_000)}"
            if number not in self._numbers:
                self._numbers.add(number)
                return number

    def _written(self, number: str) -> str:
        national = number.removeprefix("+49")
        forms = (
            number,
            number,
            "0" + national,
            f"0049 {national}",
            f"0{national[:3]} / {national[3:6]} {national[6:]}",
        )
        written = self._rng.choice(forms)
        self.e164[written] = number
        return written
