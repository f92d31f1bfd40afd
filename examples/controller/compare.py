"""Runs the controller and its first draft through the same scenarios, and compares their scorecards.

A server has to run (`CLOUDM_URL` says where, else http://127.0.0.1:8080). Each run has a world of its own, made of a file in
`../scenarios`, which is deleted after it.

Usage: compare.py [--check | --write]
"""

import argparse
import difflib
import json
import os
import pathlib
import sys
import uuid

from controller import Client, Cloud, Controller, run
from naive import Naive

URL = os.environ.get("CLOUDM_URL", "http://127.0.0.1:8080")
EXPECTED = pathlib.Path(__file__).with_name("expected.json")
SCENARIOS = pathlib.Path(__file__).parent.parent / "scenarios"
PROGRAMS = {"controller": Controller, "naive": Naive}

# How many machines are wanted in each scenario, for how many hours.
WANTED = {
    "capacity-crunch": (12, 3),
    "region-outage": (12, 2),
    "spot-storm": (12, 2),
    "flaky-boot": (12, 8),
    "throttled-api": (12, 2),
    "calm": (12, 2),
}


def score(client, scenario, program, wanted, hours):
    """Runs a program in a fresh world and gives back its scorecard, its faults and the digest of its history."""
    world = f"compare-{uuid.uuid4().hex[:12]}"
    api, control = f"/worlds/{world}/api/v1", f"/sim/v1/worlds/{world}"
    client.send("PUT", f"{control}/scenario", scenario)
    try:
        clusters = [cluster["name"] for cluster in scenario["clusters"]]
        run(client, control, program(Cloud(Client(URL), api), wanted, clusters), hours)
        card = client.get(f"{control}/scorecard?fewer_than={wanted}")
        return card, client.get(f"{control}/faults")["items"], client.get(f"{control}/digest")["digest"]
    finally:
        client.send("DELETE", control)


def struck(faults, kind):
    return sum(fault["struck"] for fault in faults if fault["effect"]["kind"] == kind)


def summary(card, faults, digest):
    """What is compared of a run: numbers, milliseconds, and millionths of the currency unit."""
    creations, shortage = card["operations"]["CREATE"], card["shortage"]
    return {
        "machines created": creations["asked"] - creations["refused"],
        "creations refused": creations["refused"],
        "creations failed": creations["failed"],
        "answers lost": struck(faults, "lose_reply"),
        "requests throttled": struck(faults, "throttle"),
        "crashes": card["crashes"],
        "machine-hours RUNNING": sum(each["time_ms"] for each in card["machine_time"] if each["state"] == "RUNNING"),
        "cost": card["cost_micros"],
        "time to settle, p99": card["time_to_settle"]["p99_ms"],
        "fewer RUNNING than wanted": shortage["total_ms"],
        "the longest of that": shortage["longest_ms"],
        "digest": digest,
    }


def clock(ms):
    return f"{ms // 3600000}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}"


# How a row is printed that is not a plain number.
PRINTED = {
    "machine-hours RUNNING": lambda ms: f"{ms / 3600000:.2f}",
    "cost": lambda micros: f"{micros / 1000000:.4f}",
    "time to settle, p99": clock,
    "fewer RUNNING than wanted": clock,
    "the longest of that": clock,
}


def table(name, summaries):
    """Yields the lines of a scenario's table, a column for each program."""
    wanted, hours = WANTED[name]
    yield f"{name}: {wanted} machines for {hours} hours"
    yield f"{'':28}" + "".join(f"{program:>12}" for program in summaries)
    for row in next(iter(summaries.values())):
        if row != "digest":
            printed = PRINTED.get(row, "{:,}".format)
            yield f"  {row:26}" + "".join(f"{printed(values[row]):>12}" for values in summaries.values())
    yield ""


def main():
    parser = argparse.ArgumentParser(description="Compares a controller and its first draft by their scorecards.")
    parser.add_argument("--check", action="store_true", help="exit with 1 where it differs from expected.json")
    parser.add_argument("--write", action="store_true", help="write expected.json")
    arguments = parser.parse_args()
    client = Client(URL)
    found = {}
    for name, (wanted, hours) in WANTED.items():
        scenario = json.loads((SCENARIOS / f"{name}.json").read_text())
        runs = {label: score(client, scenario, program, wanted, hours) for label, program in PROGRAMS.items()}
        found[name] = {label: summary(*told) for label, told in runs.items()}
        print(*table(name, found[name]), sep="\n")
    text = json.dumps(found, indent=2) + "\n"
    if arguments.write:
        EXPECTED.write_text(text)
    if arguments.check:
        known = EXPECTED.read_text()
        known_lines, found_lines = known.splitlines(True), text.splitlines(True)
        sys.stderr.writelines(difflib.unified_diff(known_lines, found_lines, EXPECTED.name, "found"))
        return known != text
    return False


if __name__ == "__main__":
    sys.exit(main())
