"""People who like cats and people who like dogs, with nothing in common."""

import random

CATS = [f"cat {number}" for number in range(60)]
DOGS = [f"dog {number}" for number in range(60)]


def _likes() -> list[tuple[str, str]]:
    choose = random.Random(12)
    return [
        (f"{kind[0].split()[0]} person {number}", item)
        for kind in (CATS, DOGS)
        for number in range(40)
        for item in choose.sample(kind, 30)
    ]


LIKES = _likes()
