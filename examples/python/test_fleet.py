"""Tests of a program that keeps a fleet running, against a cloud whose time they move."""

import unittest

from cloudm import Problem, WorldTest


def heal(cloud):
    """The program under test: starts every machine that has failed."""
    healed = 0
    for machine in cloud.machines("&state=FAILED"):
        cloud.post(f"/machines/{machine['id']}?action=START")
        healed += 1
    return healed


class FleetTest(WorldTest):
    preset = "flaky"

    @classmethod
    def prepare(cls, world):
        world.post("/clusters", {"name": "web", "region_code": "A"})
        for number in range(20):
            world.post("/machines", {"name": f"web-{number}", "cluster_name": "web"})
        world.run_until_idle()

    def test_a_boot_takes_minutes_that_take_no_time(self):
        machine = self.world.post("/machines", {"name": "new", "cluster_name": "web"})
        self.assertEqual(machine["state"], "PROVISIONING")
        with self.assertRaises(Problem) as refused:
            self.world.post(f"/machines/{machine['id']}?action=STOP")
        self.assertEqual(refused.exception.code, "operation_in_progress")
        self.world.advance("10m")
        self.assertEqual(self.world.get(f"/machines/{machine['id']}")["state"], "RUNNING")

    def test_a_night_of_failures_is_healed(self):
        happened = self.world.advance("8h")
        self.assertGreater(happened["states"]["FAILED"], 0)
        failed = sum(1 for _ in self.world.machines("&state=FAILED"))
        self.assertEqual(heal(self.world), failed)
        self.assertEqual(list(self.world.machines("&state=FAILED")), [])

    def test_a_month_is_the_same_each_time(self):
        twin = self.world.fork()
        self.addCleanup(twin.delete)
        for world in (self.world, twin):
            for _ in range(30):
                world.advance("24h")
                heal(world)
        self.assertEqual(self.world.digest(), twin.digest())


if __name__ == "__main__":
    unittest.main()
