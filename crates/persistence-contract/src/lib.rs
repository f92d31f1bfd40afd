//! What every store of cloudm must keep, as scenarios that each runs against a store of its own.
//!
//! The MUSTs stand in [`cloudm_application::ports`]; here each is tried. Nothing here knows a store.
//!
//! # For an adapter
//! Implement [`Fixture`] over whatever makes a fresh, empty store, and let the macro make the tests in `tests/contract.rs`:
//!
//! ```text
//! struct Directory(tempfile::TempDir);
//!
//! #[async_trait::async_trait]
//! impl cloudm_persistence_contract::Fixture for Directory {
//!     async fn open(&self, wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> { … }
//! }
//!
//! cloudm_persistence_contract::contract_suite!(Directory(tempfile::tempdir().unwrap()));
//! ```
//!
//! The expression is evaluated for each scenario. A store that keeps nothing once it is closed says so with
//! `contract_suite!(…, keeps nothing)`, and is spared the scenarios in `reopening`.
//!
//! # The scenarios
//! One file a feature, named as in every other crate: [`worlds`], [`records`], [`lives`] and [`parts`] of them, [`clusters`], [`machines`], [`removal`] (machines that are
//! TERMINATED or forgotten), [`due`], [`events`], [`answers`], [`selectors`], [`paging`], [`counts`], [`bulk`] (many machines in
//! one write), [`operations`] of fleets, their [`work`] and its [`results`], [`groups`] (many writes at once), [`reopening`].
//!
//! # To add one
//! Write a `pub async fn` that says what holds, over `&dyn Fixture`, in the file of its feature, with [`Scene`] and
//! [`builders`] for what it needs; name it in [`contract_suite!`]. A test fails where that was forgotten. Then break the MUST
//! in an adapter by hand and see the scenario fail: one that cannot fail shows nothing.

#![expect(clippy::unwrap_used, reason = "a scenario that does not hold fails loudly")]
#![expect(missing_docs, reason = "the name of a scenario says what holds")]

use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{Entropy, Store, WallClock};

pub mod answers;
pub mod builders;
pub mod bulk;
pub mod capacity;
mod chance;
pub mod clusters;
pub mod counts;
pub mod due;
pub mod events;
pub mod faults;
mod fleet;
pub mod groups;
pub mod lives;
pub mod machines;
pub mod matches;
pub mod operations;
pub mod paging;
pub mod parts;
pub mod race;
pub mod records;
pub mod removal;
pub mod reopening;
pub mod results;
mod scene;
pub mod schedule;
pub mod selectors;
pub mod work;
pub mod worlds;

pub use scene::Scene;

/// Where a scenario's store comes from: a place that is fresh and empty.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the store at this place. Called again after that store was closed, it opens it anew, as after a restart.
    async fn open(&self, wall: Arc<dyn WallClock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store>;
}

/// Makes a test of every scenario, each on a fixture of its own. See the [crate].
#[macro_export]
macro_rules! contract_suite {
    ($fixture:expr) => {
        $crate::contract_suite!($fixture, keeps nothing);
        $crate::scenarios!($fixture; reopening:
            all_that_was_acknowledged_is_there,
            positions_hold,
            now_does_not_go_back,
            the_page_token_key_stays,
            what_was_used_stays_used,
            a_world_stays_what_it_was_made,
            what_a_clock_has_shown_is_not_taken_back,
            a_moved_clock_stays_where_it_is,
            what_is_gone_stays_gone,
            an_operation_goes_on_after_a_restart,
            counts_stay,
            what_faults_matched_stays,
        );

    };
    ($fixture:expr, keeps nothing) => {
        $crate::scenarios!($fixture; worlds:
            a_world_is_made_as_asked,
            a_world_that_exists_stays_as_it_is,
            racing_callers_open_one_incarnation,
            a_world_that_does_not_exist_is_absent,
            worlds_know_nothing_of_each_other,
            a_world_without_a_start_begins_at_wall_time,
            now_follows_the_wall_at_the_worlds_rate,
            now_never_goes_back,
            now_is_not_before_a_committed_event,
            the_page_token_key_is_one,
            a_closed_store_refuses_everything,
        );
        $crate::scenarios!($fixture; records:
            a_record_is_read_as_it_was_written,
            a_record_needs_the_expected_version,
            of_racing_records_one_wins_each_version,
            an_instant_that_was_seen_is_refused,
            an_answer_is_kept_with_a_record,
            a_clock_goes_on_while_machines_are_written,
        );
        $crate::scenarios!($fixture; lives:
            a_new_world_is_made_as_asked,
            a_new_world_needs_a_free_name,
            worlds_are_listed_in_order_of_their_names,
            a_store_has_room_for_so_many_worlds,
            a_replaced_world_begins_anew,
            a_replacement_needs_the_incarnation_that_is_there,
            a_deleted_world_is_absent,
            a_fork_holds_what_its_source_held,
            a_fork_and_its_source_know_nothing_of_each_other,
            a_fork_is_refused_as_a_creation_is,
            a_fork_has_every_write_or_none_of_it,
            a_crowd_sees_the_old_world_or_the_new_one_or_none,
        );
        $crate::scenarios!($fixture; parts:
            a_world_is_read_whole,
            many_parts_hold_everything_in_order,
            a_loaded_world_is_the_one_that_was_read,
            a_load_that_does_not_end_changes_nothing,
            a_load_needs_the_name,
            a_loaded_world_takes_the_place_of_another,
            a_world_is_read_at_one_moment,
        );
        $crate::scenarios!($fixture; clusters:
            a_cluster_is_read_as_it_was_written,
            an_absent_cluster_is_none,
            a_deleted_cluster_is_remembered,
            clusters_are_in_order_of_creation,
            a_write_needs_the_expected_version,
            of_racing_updates_one_wins_each_version,
            a_name_is_unique,
            a_name_is_free_after_a_rename_and_a_deletion,
            of_racing_creations_of_a_name_one_wins,
            of_racing_creations_of_an_id_one_wins,
            an_id_is_used_once,
            a_world_has_room_for_so_many,
            of_racing_creations_for_the_last_place_one_wins,
            a_cluster_with_machines_is_not_deleted,
            a_cluster_of_terminated_machines_is_deleted,
            no_machine_outlives_its_cluster,
            creations_are_checked_in_order,
            changes_are_checked_in_order,
            an_answer_is_kept_with_its_effect,
            a_refused_write_changes_nothing,
        );
        $crate::scenarios!($fixture; machines:
            a_machine_is_read_as_it_was_written,
            an_absent_machine_is_none,
            a_machine_shows_its_cluster_as_it_is_now,
            an_update_needs_the_expected_version,
            of_racing_updates_one_wins_each_version,
            what_is_read_of_a_machine_never_goes_back,
            a_name_is_unique_in_its_cluster,
            a_name_is_held_by_one,
            a_rename_frees_the_old_name,
            of_racing_creations_of_a_name_one_wins,
            of_racing_renames_to_a_name_one_wins,
            of_racing_creations_of_an_id_one_wins,
            an_id_is_used_once,
            a_creation_needs_its_cluster,
            creations_are_checked_in_order,
            updates_are_checked_in_order,
            a_machine_its_events_and_its_answer_are_written_together,
            a_refused_write_changes_nothing,
        );
        $crate::scenarios!($fixture; removal:
            a_name_is_free_once_its_machine_is_terminated,
            a_terminated_machine_is_found_by_its_id,
            a_removed_machine_is_gone_and_its_events_stay,
            a_removal_writes_the_events_it_is_given,
            a_removal_needs_the_expected_version,
            of_a_racing_removal_and_update_one_wins,
            terminated_machines_of_a_deleted_cluster_are_seen_no_more,
        );
        $crate::scenarios!($fixture; due:
            what_is_due_is_found_earliest_first,
            what_is_due_at_one_instant_is_in_order_of_ids,
            no_more_than_the_limit_is_found,
            nothing_due_is_found_where_nothing_is,
            what_is_to_be_forgotten_is_due,
            a_write_moves_what_is_due,
        );
        $crate::scenarios!($fixture; events:
            the_first_position_is_before_all_events,
            the_last_position_is_after_all_events,
            events_are_read_as_they_were_written,
            a_walk_meets_each_event_once,
            a_walk_meets_what_is_committed_meanwhile,
            a_follower_misses_nothing_while_many_write,
            what_is_committed_later_comes_after_a_position,
            the_events_of_one_machine_are_in_order,
            the_events_of_one_machine_end_at_an_instant,
            machines_are_found_by_their_creation,
            a_machine_is_the_fold_of_its_events,
            an_absent_machine_has_no_events,
            a_position_of_nobody_is_refused,
            nobody_waits_for_what_is_there,
            a_waiter_is_woken_by_the_next_commit,
            a_waiter_is_not_woken_by_what_is_no_event,
            a_waiter_is_told_that_the_store_is_closed,
        );
        $crate::scenarios!($fixture; answers:
            an_answer_is_kept,
            an_absent_answer_is_none,
            an_answer_is_gone_once_it_has_expired,
            a_key_is_taken_until_its_answer_has_expired,
            of_callers_that_race_for_a_key_one_wins,
            of_commits_that_race_for_a_key_one_has_effect,
            a_commit_may_use_a_key_that_has_expired,
            only_what_has_expired_is_dropped,
            no_more_than_the_limit_is_dropped,
        );
        $crate::scenarios!($fixture; selectors:
            every_selector_is_followed_in_every_order,
            every_selector_is_followed_page_by_page,
            terminated_machines_are_left_out_unless_asked_for,
            machines_of_a_deleted_cluster_are_left_out,
            a_region_is_that_of_the_cluster_now,
            lists_follow_what_is_written,
            a_selector_that_fits_nothing_finds_nothing,
        );
        $crate::scenarios!($fixture; paging:
            ids_order_what_was_created_at_one_instant,
            names_are_ordered_by_their_bytes,
            a_page_is_no_longer_than_its_limit,
            there_is_no_page_after_the_last,
            a_list_meets_each_lasting_machine_once,
            a_walk_meets_each_lasting_machine_once,
            a_walk_goes_on_after_a_machine_that_is_gone,
            a_page_shows_one_moment,
            a_walk_that_examines_many_is_complete,
        );
        $crate::scenarios!($fixture; counts:
            counts_are_what_lists_show,
            counts_follow_each_write,
            counts_follow_a_cluster,
            counts_follow_whatever_is_written,
            counts_are_right_after_a_crowd,
            counts_show_one_moment,
            copies_of_a_world_count_their_own,
        );
        $crate::scenarios!($fixture; schedule:
            what_a_machine_was_told_is_read_and_due,
            what_a_machine_does_by_itself_stays_beside_it,
            a_schedule_is_read_as_it_was_written,
        );
        $crate::scenarios!($fixture; faults:
            a_machine_is_read_with_the_matches_of_its_faults,
            matches_are_counted_with_what_is_written,
            matches_of_a_fleet_operation_are_counted,
            matches_are_right_after_a_crowd,
            a_refused_creation_leaves_nothing_but_its_history,
            each_request_is_counted_once,
            the_first_requests_of_a_fault_are_counted_once_each,
            copies_of_a_world_begin_with_the_matches_that_its_history_tells,
            a_name_says_that_there_are_faults_on_requests,
            a_machine_that_faults_matched_is_forgotten,
        );
        $crate::scenarios!($fixture; matches:
            only_the_next_match_in_the_world_is_written,
            writes_at_once_tell_one_match_after_the_other,
            a_fleet_operation_tells_one_match_after_the_other,
            of_those_that_race_for_a_match_one_wins,
            copies_of_a_world_go_on_counting,
        );
        $crate::scenarios!($fixture; capacity:
            a_full_pool_refuses_and_what_is_given_back_is_taken_again,
            a_machine_that_holds_a_place_asks_for_no_other,
            a_place_is_checked_last,
            of_racing_creations_as_many_win_as_there_are_places,
            of_racing_starts_and_calls_as_many_win_as_there_are_places,
            a_call_takes_the_places_that_there_are_in_order,
            work_takes_the_places_that_there_are,
            a_cluster_moves_whole_or_not_at_all,
            a_move_that_races_with_creations_leaves_no_region_too_full,
            a_refused_creation_is_an_event_and_uses_its_id,
            of_racing_writes_of_an_id_one_wins,
            a_refusal_is_kept_with_its_machine,
        );
        $crate::scenarios!($fixture; bulk:
            many_writes_are_written_at_once,
            a_refused_write_stops_none,
            names_are_taken_and_freed_within_one_call,
            a_machine_lives_within_one_call,
            a_call_has_a_bound,
            of_racing_calls_one_wins_each_machine,
            writes_at_once_are_commits_in_order,
        );
        $crate::scenarios!($fixture; operations:
            an_operation_is_read_as_it_was_accepted,
            an_absent_operation_is_none,
            an_operation_is_accepted_with_its_answer,
            acceptances_are_checked_in_order,
            of_racing_acceptances_one_wins,
            operations_are_listed_last_accepted_first,
            an_acceptance_stands_between_commits,
            what_was_made_by_an_acceptance_is_told_apart,
            what_races_with_an_acceptance_is_before_or_after_it,
            a_claim_holds_while_its_lease_does,
            of_racing_claims_one_wins,
            an_operation_ends_once,
            other_worlds_have_no_operation_of_this_one,
        );
        $crate::scenarios!($fixture; work:
            work_is_written_as_one,
            work_has_the_effect_of_commits,
            work_that_is_sent_again_changes_nothing,
            a_lost_entry_stops_neither_the_others_nor_moves_the_cursor,
            entries_are_checked_as_commits_are,
            work_ends_as_its_progress_says,
            what_has_ended_takes_no_work,
            a_runner_that_lost_its_claim_is_refused,
            racing_work_operates_each_machine_once,
            work_that_races_with_an_end_is_counted_or_was_not,
            work_goes_on_where_it_stopped,
        );
        $crate::scenarios!($fixture; results:
            results_that_refused_come_first,
            results_are_read_page_by_page,
            only_what_has_expired_is_dropped,
            no_more_than_about_the_limit_is_dropped,
        );
        $crate::scenarios!($fixture; groups:
            a_failing_neighbour_undoes_nothing,
            writes_of_different_ports_share_the_world,
            crowds_are_all_answered,
            a_write_is_seen_by_the_next_read,
            a_caller_who_leaves_leaves_all_or_nothing,
        );
    };
}

/// Makes a test of each named scenario of a file.
#[doc(hidden)]
#[macro_export]
macro_rules! scenarios {
    ($fixture:expr; $file:ident: $($scenario:ident),* $(,)?) => {
        mod $file {
            use super::*;

            $(
                #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    $crate::$file::$scenario(&$fixture).await;
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_scenario_is_in_the_suite() {
        let files = [
            include_str!("answers.rs"),
            include_str!("bulk.rs"),
            include_str!("capacity.rs"),
            include_str!("clusters.rs"),
            include_str!("counts.rs"),
            include_str!("due.rs"),
            include_str!("events.rs"),
            include_str!("faults.rs"),
            include_str!("groups.rs"),
            include_str!("lives.rs"),
            include_str!("machines.rs"),
            include_str!("operations.rs"),
            include_str!("paging.rs"),
            include_str!("parts.rs"),
            include_str!("records.rs"),
            include_str!("removal.rs"),
            include_str!("reopening.rs"),
            include_str!("results.rs"),
            include_str!("schedule.rs"),
            include_str!("selectors.rs"),
            include_str!("work.rs"),
            include_str!("worlds.rs"),
        ];
        let suite = include_str!("lib.rs");
        for file in files {
            for (_, rest) in file.match_indices("pub async fn ").map(|(at, found)| (at, &file[at + found.len()..])) {
                let name = rest.split('(').next().unwrap();
                assert!(suite.contains(&format!("    {name},\n")), "{name} is in no suite");
            }
        }
    }
}
