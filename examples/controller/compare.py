"""Runs the controller and its first draft through the same scenarios, and compares their scorecards.

A server has to run (`CLOUDM_URL` says where, else http://127.0.0.1:8080). Each run has a world of its own with the same
seed, which is deleted after it. The answer to every tenth creation is lost on its way to the program.

Usage: compare.py [--check | --write]
"""

import argparse
import difflib
import json
import os
import pathlib
import sys
import uuid

from controller import Client, Cloud, Controller, Lost, run
from naive import Naive

URL = os.environ.get("CLOUDM_URL", "http://127.0.0.1:8080")
EXPECTED = pathlib.Path(__file__).with_name("expected.json")
SEED = 42
LOSE_EACH = 10
CLUSTERS = {"web-a": "A", "web-b": "B"}
PROGRAMS = {"controller": Controller, "naive": Naive}


def pool(region, size, refills=()):
    """Room for small machines in a region; refills are times of the first day with the size from then on."""
    later = [{"at": f"2030-01-01T{at}:00Z", "size": size} for at, size in refills]
    return {"region_code": region, "machine_type": "small", "size": size, "refills": later}


# How many machines are wanted for how many hours, in a world of which preset, with room for how many.
SCENARIOS = {
    "capacity-crunch": {
        "wanted": 12,
        "hours": 3,
        "preset": "realistic",
        "pools": [pool("A", 6, [("00:30", 9), ("02:30", 16)]), pool("B", 3)],
    },
    "flaky-boot": {"wanted": 12, "hours": 8, "preset": "flaky", "pools": [pool("A", 13), pool("B", 4)]},
    "calm": {"wanted": 12, "hours": 2, "preset": "realistic", "pools": []},
}


class Lossy(Client):
    """Loses the answer to every tenth creation: the server did the work, and the program does not hear of it."""

    created = 0

    def send(self, method, path, body=None, key=None):
        answer = super().send(method, path, body, key)
        if method == "POST" and path.endswith("/machines"):
            self.created += 1
            if self.created % LOSE_EACH == 0:
                raise Lost(f"{method} {path}")
        return answer


def score(client, scenario, program):
    """Runs a program in a fresh world and gives back its scorecard."""
    world = f"compare-{uuid.uuid4().hex[:12]}"
    api, control = f"/worlds/{world}/api/v1", f"/sim/v1/worlds/{world}"
    client.post("/sim/v1/worlds", {"name": world, "seed": SEED, "preset": scenario["preset"], "retention": "24h"})
    try:
        client.send("PUT", f"{control}/capacity", {"pools": scenario["pools"]})
        for name, region in CLUSTERS.items():
            client.post(f"{api}/clusters", {"name": name, "region_code": region})
        cloud = Cloud(Lossy(URL), api)
        run(client, control, program(cloud, scenario["wanted"], list(CLUSTERS)), scenario["hours"])
        return client.get(f"{control}/scorecard?fewer_than={scenario['wanted']}")
    finally:
        client.send("DELETE", control)


def summary(card):
    """What is compared of a scorecard: numbers, milliseconds, and millionths of the currency unit."""
    creations, shortage = card["operations"]["CREATE"], card["shortage"]
    return {
        "machines created": creations["asked"] - creations["refused"],
        "creations refused": creations["refused"],
        "creations failed": creations["failed"],
        "crashes": card["crashes"],
        "machine-hours RUNNING": sum(each["time_ms"] for each in card["machine_time"] if each["state"] == "RUNNING"),
        "cost": card["cost_micros"],
        "time to settle, p99": card["time_to_settle"]["p99_ms"],
        "fewer RUNNING than wanted": shortage["total_ms"],
        "the longest of that": shortage["longest_ms"],
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


def table(name, scenario, summaries):
    """Yields the lines of a scenario's table, a column for each program."""
    yield f"{name}: {scenario['wanted']} machines for {scenario['hours']} hours, preset {scenario['preset']}"
    yield f"{'':28}" + "".join(f"{program:>12}" for program in summaries)
    for row in next(iter(summaries.values())):
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
    for name, scenario in SCENARIOS.items():
        found[name] = {label: summary(score(client, scenario, program)) for label, program in PROGRAMS.items()}
        print(*table(name, scenario, found[name]), sep="\n")
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
