"""The first draft of the controller: it works on a good day."""

from controller import Lost, Problem


class Naive:
    """Keeps `wanted` machines RUNNING: makes those that are missing, terminates those too many."""

    def __init__(self, cloud, wanted, clusters):
        self.cloud, self.wanted = cloud, wanted
        self.cluster = clusters[0]
        self.made = 0

    def step(self, now):
        """Looks at the fleet once; `now` is not needed."""
        running = [machine for machine in self.look() if machine["state"] == "RUNNING"]
        for _ in range(self.wanted - len(running)):
            self.make()
        for machine in running[self.wanted :]:
            self.terminate(machine)

    def look(self):
        """Asks until it is answered."""
        try:
            return self.cloud.machines()
        except Problem:
            return self.look()

    def terminate(self, machine):
        try:
            self.cloud.terminate(machine)
        except Problem:
            self.terminate(machine)

    def make(self):
        """Makes one machine. No answer is taken for no machine; after a refusal the next step asks again."""
        self.made += 1
        try:
            self.cloud.create(f"web-{self.made}", self.cluster)
        except Lost:
            self.make()
        except Problem:
            pass
