#!/usr/bin/env python3
"""Makes the card transactions of this example and says which of them are fraud: the same seed, the same files.

    generate.py [--seed 2026] [--cards 400] OUT_DIR
        writes OUT_DIR/transactions.csv, in order of arrival, and OUT_DIR/fraud.csv: the ids of the fraud, with its pattern

Honest cards: a cardholder has a home country, hours of the day when awake, a habit of amounts (log-normal), shops in a terminal
or on line, and now and then travels, buys something dear, tops up a parking meter for less than a euro, or pays several times in a row at
a fair. That gives false alarms. Planted fraud, each on a card that was honest until then:

    probe     a charge of at most a euro, on line, then one to three dear ones within minutes: a stolen number is tried out
    burst     eight to fifteen charges within two minutes: a number is used up before it is blocked
    clone     the card is present in another country within the hour: its stripe was copied
    patient   what no rule here can see: one dear charge a day later, as the cardholder might make it

Records arrive out of order: most within seconds, one in fifty up to four minutes late.
"""

import argparse
import datetime
import math
import pathlib
import random

START_US = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
DAYS = 7
COUNTRIES = ["DE", "FR", "NL", "PL", "ES", "IT", "GB", "US", "BR", "SG"]


class World:
    """All randomness is drawn by random(), whose sequence Python keeps from version to version."""

    def __init__(self, seed):
        self.draw = random.Random(seed).random
        self.rows = []  # (time_us, card, amount_cents, country, present, pattern)

    def below(self, n):
        return int(self.draw() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def normal(self):
        return math.sqrt(-2 * math.log(1 - self.draw())) * math.cos(2 * math.pi * self.draw())

    def dear(self):
        return self.between(50_000, 240_000)

    def add(self, time_us, card, amount_cents, country, present, pattern=""):
        self.rows.append((time_us, card, amount_cents, country, present, pattern))


def live(world, card):
    """A week of an honest card; returns its home country."""
    home = COUNTRIES[world.below(6)]
    habit = 2.6 + 0.5 * world.normal()
    away = COUNTRIES[6 + world.below(4)] if world.draw() < 0.08 else home
    leaves = world.between(1, 5)
    for day in range(DAYS):
        country = away if day >= leaves else home
        for _ in range(world.below(9)):
            at = START_US + day * DAY_US + 6 * HOUR_US + world.below(17 * 3600) * SECOND_US + world.below(SECOND_US)
            kind = world.draw()
            if kind < 0.03:
                amount = world.between(40, 100)  # a parking meter, a song
            elif kind < 0.045:
                amount = world.dear()
            else:
                amount = max(101, round(100 * math.exp(habit + 0.8 * world.normal())))
            present = world.draw() < 0.7
            world.add(at, card, amount, country, present)
            if present and world.draw() < 0.012:  # a fair: one stall after the other
                for i in range(world.between(2, 5)):
                    world.add(at + (i + 1) * world.between(9, 40) * SECOND_US, card, world.between(200, 1500), country, True)
    return home


def steal(world, card, home, pattern):
    at = START_US + world.between(1, DAYS - 2) * DAY_US + world.below(DAY_US // SECOND_US) * SECOND_US
    if pattern == "probe":
        world.add(at, card, world.between(1, 100), home, False, pattern)
        for i in range(world.between(1, 3)):
            world.add(at + (i + 1) * world.between(20, 150) * SECOND_US, card, world.dear(), home, False, pattern)
    elif pattern == "burst":
        for _ in range(world.between(8, 15)):
            world.add(at + world.below(120) * SECOND_US + world.below(SECOND_US), card, world.between(900, 9900), home, False, pattern)
    elif pattern == "clone":
        world.add(at, card, world.between(300, 6000), home, True)  # the cardholder's own
        abroad = COUNTRIES[6 + world.below(4)]
        for i in range(world.between(1, 3)):
            world.add(at + (i + 1) * world.between(5, 15) * 60 * SECOND_US, card, world.between(5_000, 90_000), abroad, True, pattern)
    else:
        world.add(at + DAY_US, card, world.dear(), home, False, pattern)


def stamp(time_us):
    at = datetime.datetime.fromtimestamp(time_us // SECOND_US, datetime.timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{time_us % SECOND_US:06d}".rstrip("0").rstrip(".") + "Z"


def delay_us(world):
    return world.below(240 * SECOND_US) if world.draw() < 0.02 else world.below(4 * SECOND_US)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=2026)
    arguments.add_argument("--cards", type=int, default=400)
    arguments.add_argument("out", type=pathlib.Path)
    a = arguments.parse_args()
    world = World(a.seed)
    for n in range(a.cards):
        card = f"4{n:04d}-{world.below(10_000):04d}"
        home = live(world, card)
        if world.draw() < 0.12:
            steal(world, card, home, ["probe", "burst", "clone", "patient"][world.below(4)])
    arrivals = sorted((row[0] + delay_us(world), n) for n, row in enumerate(world.rows))
    a.out.mkdir(parents=True, exist_ok=True)
    with open(a.out / "transactions.csv", "w") as transactions, open(a.out / "fraud.csv", "w") as fraud:
        transactions.write("id,card,time,amount_cents,country,present\n")
        fraud.write("id,pattern\n")
        for number, (_, n) in enumerate(arrivals, start=1):
            time_us, card, amount, country, present, pattern = world.rows[n]
            transactions.write(f"{number},{card},{stamp(time_us)},{amount},{country},{'true' if present else 'false'}\n")
            if pattern:
                fraud.write(f"{number},{pattern}\n")


if __name__ == "__main__":
    main()
