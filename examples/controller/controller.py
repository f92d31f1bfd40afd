"""A controller: it keeps a number of machines RUNNING in a cloud, whatever the cloud does.

`Client` sends requests, `Controller.step` looks at the fleet once and mends it, and `run` lets a program step through
the virtual time of a world. Nothing here sleeps: all waiting is in the world's time.
"""

import http.client
import json
from datetime import datetime
from urllib.parse import urlsplit

TICK = 10  # Virtual seconds between two steps.
TRIES = 5  # How often a request without answer is sent, where that is safe.
FIRST_WAIT = 30  # Virtual seconds until a cluster that had no room is asked again; doubled at each refusal,
LONGEST_WAIT = 300  # up to this.

# The states of machines that are RUNNING or on their way to it.
GOOD = {"RUNNING", "PROVISIONING", "STARTING", "RESUMING", "REBOOTING", "REPAIRING", "MIGRATING"}

# What says that machines are to be made elsewhere, or later.
NO_ROOM = {"insufficient_capacity", "region_outage"}

# What is going to be done to machines that are to be replaced before.
LEAVING = {"SPOT_TERMINATION", "MAINTENANCE_STOP"}


class Problem(Exception):
    """A refusal: its code (RFC 9457) and, where the server says one, after how many seconds to ask again."""

    def __init__(self, problem, retry_after):
        super().__init__(f"{problem['status']} {problem['code']}: {problem['detail']}")
        self.code = problem["code"]
        self.retry_after = int(retry_after or 0)


class Lost(Exception):
    """No answer came: the request may have had its effect, or not."""


class Client:
    """JSON over one connection that is kept open."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def get(self, path):
        return self.repeat("GET", path)

    def post(self, path, body=None, key=None):
        """With a key the server does the work once however often it is asked, so what had no answer is sent again."""
        return self.repeat("POST", path, body, key) if key else self.send("POST", path, body)

    def repeat(self, *request):
        for _ in range(TRIES - 1):
            try:
                return self.send(*request)
            except Lost:
                pass
        return self.send(*request)

    def send(self, method, path, body=None, key=None):
        """Sends a request once and gives back the JSON of the answer."""
        headers = {"Idempotency-Key": key} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Lost(f"{method} {path}") from error
        if answer.status >= 400:
            raise Problem(content, answer.getheader("Retry-After"))
        return content


class Cloud:
    """The machines of one fleet, in the cloud at a path."""

    def __init__(self, client, api, tag="fleet:web"):
        self.client, self.api, self.tag = client, api, tag

    def machines(self):
        """All of them, the oldest first."""
        machines, token = [], ""
        while True:
            page = self.client.get(f"{self.api}/machines?tag={self.tag}&page_size=1000{token}")
            machines += page["items"]
            if "next_page_token" not in page:
                return machines
            token = f"&page_token={page['next_page_token']}"

    def create(self, name, cluster, key=None):
        machine = {"name": name, "cluster_name": cluster, "tags": [self.tag]}
        return self.client.post(f"{self.api}/machines", machine, key)

    def terminate(self, machine, key=None, force=False):
        path = f"{self.api}/machines/{machine['id']}?action=TERMINATE"
        return self.client.post(path + ("&force=true" if force else ""), key=key)


class Place:
    """A cluster to make machines in, and the time in seconds before which it is not asked, since it had no room."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.ask_at = 0
        self.wait = FIRST_WAIT

    def refused(self, now, retry_after):
        self.ask_at = now + max(self.wait, retry_after)
        self.wait = min(2 * self.wait, LONGEST_WAIT)

    def accepted(self):
        self.wait = FIRST_WAIT


class Controller:
    """Keeps `wanted` machines RUNNING, in the first of the clusters that has room.

    Names are numbered from 0 in memory, so it is for a new fleet: do not start it again on an old one.
    """

    def __init__(self, cloud, wanted, clusters):
        self.cloud, self.wanted = cloud, wanted
        self.places = [Place(cluster) for cluster in clusters]
        self.made = 0
        self.quiet_until = 0

    def step(self, now):
        """Looks at the fleet once and mends it; `now` is the world's time in seconds. Who is throttled asks later."""
        if now < self.quiet_until:
            return
        try:
            self.mend(now)
        except Problem as problem:
            if problem.code != "throttled":
                raise
            self.quiet_until = now + problem.retry_after

    def mend(self, now):
        good, leaving = [], []
        for machine in self.cloud.machines():
            if broken(machine):
                self.end(machine, force=True)
            elif machine["state"] in GOOD:
                (leaving if is_leaving(machine) else good).append(machine)
        good.sort(key=lambda machine: machine["state"] != "RUNNING")
        for machine in good[self.wanted :]:
            self.end(machine)
        if sum(machine["state"] == "RUNNING" for machine in good) >= self.wanted:
            # Others are there in their place.
            for machine in leaving:
                self.end(machine)
        missing = self.wanted - len(good)
        while missing > 0 and self.make(now):
            missing -= 1

    def end(self, machine, force=False):
        """Ends a machine, unless its region is out: then the next look asks again."""
        try:
            self.cloud.terminate(machine, key=f"terminate-{machine['id']}-{machine['version']}", force=force)
        except Problem as problem:
            if problem.code != "region_outage":
                raise

    def make(self, now):
        """Makes one machine in the first cluster with room; says whether there was one. Until then its name stays."""
        name = f"web-{self.made}"
        for place in self.places:
            if now < place.ask_at:
                continue
            try:
                self.cloud.create(name, place.cluster, key=f"create-{place.cluster}-{name}")
            except Problem as problem:
                if problem.code not in NO_ROOM:
                    raise
                place.refused(now, problem.retry_after)
                continue
            place.accepted()
            self.made += 1
            return True
        return False


def broken(machine):
    """Whether to replace it: it failed, or is stuck, that is in an active state which has no end."""
    stuck = "transition" in machine and "due_at" not in machine["transition"]
    return stuck or machine["state"] == "FAILED"


def is_leaving(machine):
    """Whether it was told that it is going to be taken away."""
    return any(event["kind"] in LEAVING for event in machine.get("scheduled_events", []))


def run(client, control, program, hours):
    """Lets a program step through the time of the world that is controlled at a path."""
    now = seconds(client.get(f"{control}/clock")["now"])
    end = now + hours * 3600
    while now < end:
        program.step(now)
        now = seconds(client.post(f"{control}/clock/advance", {"by": f"{TICK}s"})["to"])


def seconds(instant):
    return datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()
