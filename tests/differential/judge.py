"""Plays sequences on servers and says where two of them part."""

import time
import traceback
import uuid
from dataclasses import dataclass
from pathlib import Path

from driver.compare import explain, record_differences
from driver.normalise import Normaliser

from known import unexplained
from operations import BY_KIND
from player import Forgotten, Player, TooLate
from sequence import Sequence, lines

TRIES = 4
FIRST_SHOWN = 4


@dataclass
class Played:
    steps: list  # normalised
    operations: list  # those that were possible
    problem: str = None  # what stopped it


class NoOutcome(Exception):
    """Every try was too late, or luck decides in the original."""


def play_once(sequence, server):
    player = Player(server, sequence, uuid.uuid4().hex[:8])
    problem = None
    try:
        player.play(BY_KIND)
    except (TooLate, Forgotten):
        raise
    except Exception as error:  # whatever it is, both servers must lead to the same one
        where = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        player.note("stopped", problem)
    finally:
        player.close()
    steps = Normaliser("differential", player.names()).record(player.steps)
    return Played(steps, player.played, problem)


def play(sequence, server, is_original=False):
    """Tries again where the machine was too slow for the sequence to have one outcome; the original
    also where it stopped, because it loses tasks on a crowded machine."""
    for attempt in range(1, TRIES + 1):
        try:
            played = play_once(sequence, server)
            if not (is_original and played.problem):
                return played
            reason = played.problem
        except TooLate as late:
            reason = late
        except Forgotten as forgotten:
            reason = forgotten
            break
        time.sleep(0.5 * attempt)
    raise NoOutcome(f"{sequence.name}: {reason}")


def differences(expected, actual):
    return unexplained(record_differences(expected, actual))


def compare(sequence, original, ours):
    """The differences between two servers that are there twice, and the original's record."""
    for _ in range(2):
        expected = play(sequence, original, is_original=True)
        actual = play(sequence, ours)
        found = differences(expected.steps, actual.steps)
        if not found:
            break
    return found, expected, actual


def shrink(sequence, original, ours):
    """Drops operations one after another, as long as the servers still differ."""
    position = len(sequence.operations) - 1
    while position >= 0:
        shorter = sequence.without(position)
        try:
            if shorter.operations and compare(shorter, original, ours)[0]:
                sequence = shorter
        except NoOutcome:
            pass
        position -= 1
    return sequence


def shown(sequence, original, ours):
    """The script and where the two servers part."""
    found, expected, actual = compare(sequence, original, ours)
    yield from report(sequence, found, expected, actual)


def report(sequence, found, expected, actual):
    yield f"not ok {sequence.name}"
    yield from lines(sequence)
    yield from explain(expected.steps, actual.steps, found[:FIRST_SHOWN])
    if len(found) > FIRST_SHOWN:
        yield f"  … and {len(found) - FIRST_SHOWN} more"


def only_played(sequence, played):
    """The sequence without what was impossible."""
    return Sequence(sequence.name, played.operations)
