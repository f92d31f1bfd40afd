//! What a fleet operation comes to for one machine.

use cloudm_domain::{Edit, FleetOutcome, Machine, Outcome, Refusal, Selector, Tag, Tags};

use crate::ports::{FleetEntry, FleetResult, FleetWork, MachineWrite, PlacedMachine, WorldView};
use crate::settler::MAX_STEPS;

/// Decides for a machine as it was read, at the view's now: whether it matches then, and what becomes of it; nothing
/// where it does not.
pub(super) fn decide(work: &FleetWork, placed: PlacedMachine, view: &WorldView) -> Option<FleetEntry> {
    let PlacedMachine { machine: before, cluster } = placed;
    let (now, rules) = (view.now.max(before.updated_at), &view.world.rules);
    let entry = |outcome, write| Some(FleetEntry { result: FleetResult { machine: before.id, outcome }, write });
    let Ok(settled) = before.clone().settle_within(MAX_STEPS, Some(&cluster), now, rules) else {
        return entry(FleetOutcome::SettleLimit, None);
    };
    let matches = |selector: &Selector| selector.matches(&settled.machine, &cluster);
    let left_out = match work {
        FleetWork::Operate(selector, _) | FleetWork::Tag { selector, .. } => !matches(selector),
        FleetWork::DeleteCluster(id) => settled.machine.cluster_id != *id,
        FleetWork::Create(_) => true,
    };
    if left_out || settled.machine.is_forgotten(now) {
        return None;
    }
    let asked = match work {
        FleetWork::Operate(_, request) => before.clone().request_in(request, Some(&cluster), now, rules),
        FleetWork::Tag { add, remove, .. } => match tagged(&settled.machine, add, remove) {
            Some(tags) => {
                before.clone().edit_in(&Edit { tags: Some(tags), ..Edit::default() }, Some(&cluster), now, rules)
            }
            None => return entry(FleetOutcome::InvalidTags, None),
        },
        FleetWork::DeleteCluster(_) | FleetWork::Create(_) => before.clone().delete_in(Some(&cluster), now, rules),
    };
    match asked {
        Ok(Outcome { changed: false, .. }) => entry(FleetOutcome::Unchanged, None),
        Ok(Outcome { machine, events, struck_down, .. }) => {
            let after = Some(machine).filter(|machine| !machine.is_forgotten(now));
            let write = MachineWrite { before: Some(before.clone()), after, events };
            let outcome = struck_down.as_ref().map_or(FleetOutcome::Done, |down| down.outcome());
            entry(outcome, Some(write).filter(|write| !write.events.is_empty()))
        }
        Err(refusal) => entry(refused(&refusal), None),
    }
}

/// The tags of a machine with some more and without others; none where those are too many.
fn tagged(machine: &Machine, add: &[Tag], remove: &[Tag]) -> Option<Tags> {
    let kept = machine.tags.as_slice().iter().filter(|tag| !remove.contains(tag));
    let new = add.iter().filter(|tag| !machine.tags.contains(tag));
    Tags::new(kept.chain(new).cloned().collect()).ok()
}

fn refused(refusal: &Refusal) -> FleetOutcome {
    match refusal {
        Refusal::IllegalTransition { .. } => FleetOutcome::IllegalTransition,
        Refusal::InProgress { .. } => FleetOutcome::OperationInProgress,
        Refusal::Protected { .. } => FleetOutcome::Protected,
        Refusal::Terminated => FleetOutcome::MachineTerminated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use cloudm_domain::{Command, MachineState, Preset, SelectorField};

    fn stop(selector: &Selector) -> FleetWork {
        FleetWork::Operate(selector.clone(), Command::Stop.into())
    }

    fn outcome(work: &FleetWork, after: &'static str) -> Option<FleetOutcome> {
        let view = fixtures::view(Preset::Realistic, after);
        decide(work, fixtures::placed(Preset::Realistic, "web-1"), &view).map(|entry| entry.result.outcome)
    }

    #[test]
    fn a_machine_is_decided_as_it_is_now() {
        let mut running = Selector::default();
        running.add(SelectorField::State, "RUNNING").unwrap();
        assert_eq!(outcome(&stop(&running), "0s"), None, "it is not RUNNING yet");
        assert_eq!(outcome(&stop(&running), "10m"), Some(FleetOutcome::Done));
        let all = Selector::default();
        assert_eq!(outcome(&stop(&all), "0s"), Some(FleetOutcome::OperationInProgress));
        let start = FleetWork::Operate(all, Command::Start.into());
        assert_eq!(outcome(&start, "10m"), Some(FleetOutcome::Unchanged));
    }

    #[test]
    fn what_is_written_begins_with_what_was_read() {
        let view = fixtures::view(Preset::Realistic, "10m");
        let placed = fixtures::placed(Preset::Realistic, "web-1");
        let entry = decide(&stop(&Selector::default()), placed.clone(), &view).unwrap();
        let write = entry.write.unwrap();
        assert_eq!(write.before, Some(placed.machine));
        assert_eq!(write.after.unwrap().state, MachineState::Stopping);
        assert_eq!(write.events.iter().map(|event| event.version).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn what_a_fault_refuses_is_refused_and_written() {
        let faults = [fixtures::refusing(cloudm_domain::Cause::Stop)];
        let view = fixtures::view_with(&faults, Preset::Realistic, "10m");
        let placed = fixtures::placed(Preset::Realistic, "web-1");
        let entry = decide(&stop(&Selector::default()), placed, &view).unwrap();
        assert_eq!(entry.result.outcome, FleetOutcome::StruckDown);
        assert_eq!(entry.write.unwrap().after.unwrap().attempt, 1);
    }

    #[test]
    fn tags_are_added_and_removed_once() {
        let machine = fixtures::created(Preset::Instant, "web-1").machine;
        let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Tag>>();
        let some = tagged(&machine, &tags(&["a", "b"]), &tags(&["c"])).unwrap();
        assert_eq!(some.as_slice(), tags(&["a", "b"]));
        let many: Vec<Tag> = (0..51).map(|n| format!("t{n}").parse().unwrap()).collect();
        assert_eq!(tagged(&machine, &many, &[]), None);
    }
}
