//! Every operation of the API's description has a test, by its name and in truth: the tests named here are run here,
//! and the operations that stand beside each have to have succeeded in it.

use std::collections::BTreeSet;

use crate::{
    bulk, capacity, clock, clusters, digests, endings, events, faults, fleets, lists, machines, operations, scenarios,
    schedule, scorecard, site, site_constants, snapshots, spec, stats, surroundings, waits, worlds,
};

/// A test, and the operations that it shows at work.
type Shows = (fn(), &'static [&'static str]);

const TESTS: &[Shows] = &[
    (site_constants::each_kind_is_listed_alone_and_all_together, &["listSiteConstants"]),
    (clusters::a_cluster_is_made_and_read, &["createCluster", "getCluster", "listClusters"]),
    (clusters::a_cluster_is_changed_and_what_stays_is_no_change, &["editCluster"]),
    (clusters::only_an_empty_cluster_is_deleted, &["deleteCluster"]),
    (machines::a_machine_is_made_and_read, &["createMachine", "getMachine"]),
    (machines::a_machine_is_changed_by_a_merge_patch, &["editMachine"]),
    (lists::the_link_keeps_what_was_asked, &["listMachines"]),
    (operations::an_operation_takes_effect_and_is_done_when_it_is_due, &["operateMachine"]),
    (endings::a_deleted_machine_is_gone_at_once_where_that_takes_no_time, &["deleteMachine"]),
    (events::a_machines_history_is_told_whole, &["listMachineEvents"]),
    (events::the_worlds_history_has_every_machines, &["listEvents"]),
    (fleets::a_fleet_is_made_and_told, &["createOperation", "getOperation", "listOperations", "listOperationResults"]),
    (fleets::an_operation_is_cancelled, &["cancelOperation", "waitForOperation"]),
    (stats::what_is_counted_is_what_is_listed, &["getStats"]),
    (bulk::machines_go_from_world_to_world, &["exportMachines", "importMachines"]),
    (worlds::a_world_is_made_and_read, &["createWorld", "getWorld", "listWorlds"]),
    (worlds::a_worlds_retention_is_changed, &["editWorld"]),
    (worlds::a_fork_goes_its_own_way, &["forkWorld"]),
    (worlds::a_world_begins_anew, &["resetWorld"]),
    (snapshots::a_world_goes_from_store_to_store_and_has_the_same_future, &["getSnapshot", "putSnapshot"]),
    (worlds::a_deleted_world_is_gone, &["deleteWorld"]),
    (clock::a_clock_is_moved_by_hand, &["getClock", "advanceClock"]),
    (clock::a_clock_runs_at_its_rate, &["editClock"]),
    (clock::a_clock_is_moved_to_what_is_next, &["advanceClockToNext"]),
    (clock::a_world_runs_until_nothing_is_on_its_way, &["runUntilIdle"]),
    (clock::a_behaviour_is_read_and_changed, &["getBehaviour", "putBehaviour", "listPresets"]),
    (scenarios::a_world_is_given_as_a_scenario_that_makes_one_like_it, &["getScenario", "putScenario"]),
    (capacity::a_capacity_is_read_and_changed, &["getCapacity", "putCapacity", "editCapacity"]),
    (
        faults::listed::a_fault_is_posted_read_and_removed,
        &["createFault", "getFault", "listFaults", "deleteFault", "deleteFaults"],
    ),
    (
        schedule::a_schedule_is_posted_read_and_taken_out,
        &["createScheduleEntry", "getScheduleEntry", "getSchedule", "deleteScheduleEntry", "deleteSchedule"],
    ),
    (scorecard::a_score_is_kept_of_what_happened, &["getScorecard"]),
    (digests::one_seed_has_one_digest_and_another_has_another, &["getDigest"]),
    (waits::who_waits_is_woken_when_the_machine_is_there, &["waitForMachine"]),
    (surroundings::a_server_that_drains_lives_but_is_not_ready, &["isAlive", "isReady", "isHealthy"]),
];

#[test]
fn every_operation_has_a_test() {
    let described: BTreeSet<_> = spec::operations().iter().map(|operation| operation.id.as_str()).collect();
    let tested: BTreeSet<_> = TESTS.iter().flat_map(|(_, ids)| *ids).copied().collect();
    assert_eq!(described, tested);
    assert_eq!(described.len(), spec::operations().len(), "operation ids are unique");
}

#[test]
fn the_test_of_an_operation_carries_it_out() {
    for (test, ids) in TESTS {
        site::take_succeeded();
        test();
        let succeeded = site::take_succeeded();
        for id in *ids {
            assert!(succeeded.contains(*id), "the test of {id} does not carry it out");
        }
    }
}
