"""A world of its own for each test, with the standard library alone. Copy it into your tests.

A server has to run (`cargo run --release`, or `CLOUDM_URL` says where one is). `WorldTest` makes a world once for its class, lets
`prepare` furnish it, and forks it for each test: a fork takes milliseconds, has the same future each time, and what a test does in
it, no other test sees.
"""

import json
import os
import unittest
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("CLOUDM_URL", "http://127.0.0.1:8080")


class Problem(Exception):
    """A refusal: `problem` is what the server says of it (RFC 9457)."""

    def __init__(self, problem):
        super().__init__(f"{problem['status']} {problem['code']}: {problem['detail']}")
        self.problem = problem
        self.code = problem["code"]


def send(method, path, body=None):
    """Sends a request and gives back the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        raise Problem(json.loads(refused.read())) from None


class World:
    """A cloud of its own, whose time stands still until it is moved."""

    def __init__(self, name):
        self.name = name
        self.api = f"/worlds/{name}/api/v1"
        self.control = f"/sim/v1/worlds/{name}"

    @classmethod
    def make(cls, **wanted):
        """A new world: `seed`, `preset`, `start`, `rate` and `retention` are what the server's API says."""
        world = cls(f"test-{uuid.uuid4().hex[:12]}")
        send("POST", "/sim/v1/worlds", {"name": world.name, **wanted})
        return world

    def fork(self):
        """A copy of it as it is now, with the same future."""
        copy = World(f"test-{uuid.uuid4().hex[:12]}")
        send("POST", f"{self.control}/fork", {"name": copy.name})
        return copy

    def delete(self):
        send("DELETE", self.control)

    def advance(self, by):
        """Moves its time, as in `90s` or `12h`; tells what happened."""
        return send("POST", f"{self.control}/clock/advance", {"by": by})["happened"]

    def run_until_idle(self):
        """Moves its time until no machine is on its way."""
        return send("POST", f"{self.control}/clock/run-until-idle")

    def digest(self):
        """What tells its history from every other one."""
        return send("GET", f"{self.control}/digest")["digest"]

    def get(self, path):
        return send("GET", self.api + path)

    def post(self, path, body=None):
        return send("POST", self.api + path, body)

    def machines(self, query=""):
        """All machines that a query selects, page by page."""
        token = ""
        while True:
            page = self.get(f"/machines?page_size=1000{query}{token}")
            yield from page["items"]
            if "next_page_token" not in page:
                return
            token = "&page_token=" + page["next_page_token"]


class WorldTest(unittest.TestCase):
    """A test case whose tests each find a fork of one world in `self.world`."""

    seed = 42
    preset = "realistic"

    @classmethod
    def prepare(cls, world):
        """Furnishes the world that the tests begin with."""

    @classmethod
    def setUpClass(cls):
        cls.origin = World.make(seed=cls.seed, preset=cls.preset)
        cls.addClassCleanup(cls.origin.delete)
        cls.prepare(cls.origin)

    def setUp(self):
        self.world = self.origin.fork()
        self.addCleanup(self.world.delete)
