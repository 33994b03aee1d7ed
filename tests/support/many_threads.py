"""A runtime called from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

_THREADS = 6


def wrong_in_threads(is_right: Callable[[int, int], bool], turns: int) -> list[object]:
    """What went wrong: numbers of threads in which `is_right(seed, turn)` was False, and errors; seeds all differ."""
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(turns):
                if not is_right(100 * number + turn, turn):
                    wrong.append(number)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong
