//! What makes chosen things go wrong in a world.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudm_domain::{Catalogue, Effect, Fault, FaultId, FaultOn, FaultRule, Faults, Instant, Rules, Seed, Selector};

use crate::clusters::check_region;
use crate::error::Error;
use crate::idempotency::{Answers, Stop};
use crate::machines::check_machine_type;
use crate::ports::{FaultStore, RequestCounted, World, WorldStore};
use crate::records::Records;
use crate::settler::Settler;
use crate::writing::{Reply, Writing};

/// A fault, and how often it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultView {
    /// The fault.
    pub fault: Fault,
    /// How often it matched, also where it let the match pass.
    pub matches: u64,
    /// How often it struck.
    pub struck: u64,
}

/// Reads the faults of a world.
#[derive(Clone)]
pub struct GetFaults {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) faults: Arc<dyn FaultStore>,
    pub(crate) settler: Settler,
}

impl GetFaults {
    /// All faults, the first posted first, with their matches so far. What was due before is settled. The cost does not grow with
    /// the fleet.
    ///
    /// # Errors
    /// [`Error::Settling`], [`Error::Store`].
    pub async fn list(&self) -> Result<Vec<FaultView>, Error> {
        let view = self.world.read().await?;
        self.settler.settle_all(&view).await?;
        self.shown(&view.world).await
    }

    /// One fault.
    ///
    /// # Errors
    /// [`Error::NoSuchFault`], [`Error::Settling`], [`Error::Store`].
    pub async fn get(&self, id: FaultId) -> Result<FaultView, Error> {
        let found = self.list().await?.into_iter().find(|view| view.fault.id == id);
        found.ok_or(Error::NoSuchFault)
    }

    async fn shown(&self, world: &World) -> Result<Vec<FaultView>, Error> {
        let faults = &world.rules.faults;
        if faults.iter().next().is_none() {
            return Ok(Vec::new());
        }
        let matches = self.faults.matches().await?;
        let matches: BTreeMap<_, _> = matches.iter().map(|one| (one.fault, (one.matches, one.struck))).collect();
        let requests: BTreeMap<_, _> = self.faults.requests().await?.into_iter().collect();
        let shown = |fault: &Fault| {
            let counted = match &fault.rule.on {
                FaultOn::Request(_) => requests.get(&fault.id).map(|counted| of_requests(fault, *counted)),
                _ => matches.get(&fault.id).copied(),
            };
            let (matches, struck) = counted.unwrap_or_default();
            FaultView { fault: fault.clone(), matches, struck }
        };
        Ok(faults.iter().map(shown).collect())
    }
}

/// The matches of a fault on requests, and those it struck, where so many were counted: also after it did nothing any more.
fn of_requests(fault: &Fault, counted: u64) -> (u64, u64) {
    let struck = fault.struck_of(counted);
    let matches = if fault.is_spent_after(counted) { struck + u64::from(fault.rule.after) } else { counted };
    (matches, struck)
}

/// Changes the faults of a world.
pub struct SetFaults {
    pub(crate) records: Arc<Records>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) answers: Arc<Answers>,
}

impl SetFaults {
    /// Lets a fault hold from the next instant on, to which the clock is moved, or from when it says. What was drawn before stays.
    ///
    /// # Errors
    /// [`Error::UnknownRegion`], [`Error::UnknownMachineType`], [`Error::InvalidFault`], [`Error::TooManyFaults`],
    /// [`Error::TooManyRules`], [`Error::EndOfTime`], those of idempotency keys, [`Error::Contention`], [`Error::Store`].
    pub async fn post(&self, rule: FaultRule, writing: Writing<FaultView>) -> Result<Reply<FaultView>, Error> {
        self.answers.once(&writing, Box::pin(self.add(&rule, &writing))).await
    }

    async fn add(&self, rule: &FaultRule, writing: &Writing<FaultView>) -> Result<FaultView, Stop> {
        check_selector(&rule.selector, &self.catalogue)?;
        let add = |rules: &mut Rules, from: Instant, seed: Seed| {
            rule.check(from)?;
            if rules.faults.ever() >= Faults::MAX {
                return Err(Error::TooManyRules);
            }
            if rules.faults.iter().count() >= Faults::MAX_AT_ONCE {
                return Err(Error::TooManyFaults);
            }
            let fault = rules.faults.push(rule.clone(), from, seed).clone();
            Ok(FaultView { fault, matches: 0, struck: 0 })
        };
        self.records.add_rule(writing, add).await
    }

    /// Lets a fault hold no more, from the next instant on, to which the clock is moved.
    ///
    /// # Errors
    /// [`Error::NoSuchFault`], [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn remove(&self, id: FaultId) -> Result<(), Error> {
        let remove = |rules: &mut Rules, from| {
            let removed = rules.faults.remove(|fault| fault.id == id, from);
            if removed { Ok(()) } else { Err(Error::NoSuchFault) }
        };
        self.records.edit_rules(remove).await
    }

    /// Lets all faults hold no more, from the next instant on, to which the clock is moved. Where there is none, nothing changes.
    ///
    /// # Errors
    /// [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn remove_all(&self) -> Result<(), Error> {
        if self.records.read().await?.world.rules.faults.iter().next().is_none() {
            return Ok(());
        }
        let remove = |rules: &mut Rules, from| {
            let removed = rules.faults.remove(|_| true, from);
            if removed { Ok(()) } else { Err(Error::NoSuchFault) }
        };
        match self.records.edit_rules(remove).await {
            Err(Error::NoSuchFault) => Ok(()),
            removed => removed,
        }
    }
}

/// Fails where machines are selected by a region or a machine type that the catalogue does not have.
pub(crate) fn check_selector(selector: &Selector, catalogue: &Catalogue) -> Result<(), Error> {
    selector.regions.iter().try_for_each(|code| check_region(catalogue, code))?;
    selector.machine_types.iter().try_for_each(|code| check_machine_type(catalogue, code))
}

/// Lets faults strike requests.
pub struct StrikeRequest {
    pub(crate) world: Arc<dyn WorldStore>,
    pub(crate) faults: Arc<dyn FaultStore>,
}

impl StrikeRequest {
    /// What strikes a request with this method and path under the root of the world: of the faults that match it the first that
    /// strikes. It leaves no trace in the history.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run(&self, method: &str, path: &str) -> Result<Option<Effect>, Error> {
        let view = self.world.read().await?;
        let rules = &view.world.rules;
        for fault in rules.faults.on_request((method, path), view.now) {
            if !fault.rule.is_certain() {
                let number = self.faults.count_request(fault.id, RequestCounted::Drawn).await?;
                if !fault.draws_request(number, &rules.draws) {
                    continue;
                }
            }
            let before = self.faults.count_request(fault.id, RequestCounted::Matched).await?;
            if fault.struck_of(before + 1) > fault.struck_of(before) {
                return Ok(Some(fault.rule.effect.clone()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, refusing, view_with, world_with};
    use crate::ports::{FaultMatches, MockAnswerStore, MockFaultStore, MockMachineStore, MockWorldStore};
    use cloudm_domain::{Cause, FaultField, Odds, Preset, RequestPattern, SelectorField};

    fn set(world: MockWorldStore) -> SetFaults {
        let world: Arc<dyn WorldStore> = Arc::new(world);
        let answers = Arc::new(Answers::new(world.clone(), Arc::new(MockAnswerStore::new())));
        SetFaults { records: Arc::new(Records::new(world)), catalogue: Arc::default(), answers }
    }

    async fn post(world: MockWorldStore, rule: FaultRule, dry_run: bool) -> Result<FaultView, Error> {
        match set(world).post(rule, Writing { dry_run, ..Writing::default() }).await? {
            Reply::Fresh(view) => Ok(view),
            Reply::Kept(_) => panic!("no key was given"),
        }
    }

    fn loses(path: &str) -> FaultRule {
        let on = FaultOn::Request(RequestPattern { method: Some("POST".into()), path: path.into() });
        FaultRule::new(on, Effect::LoseReply)
    }

    #[tokio::test]
    async fn a_fault_holds_from_an_instant_that_nobody_has_seen() {
        let now = fixtures::view(Preset::Instant, "10s").now;
        let mut world = MockWorldStore::new();
        let mut reads = 0;
        world.expect_read().returning(move || {
            reads += 1;
            let faults = if reads == 1 { vec![] } else { vec![refusing_stop()] };
            Ok(view_with(&faults, Preset::Instant, "10s"))
        });
        let holds = move |commit: &crate::ports::WorldCommit| {
            let (from, faults) = (commit.unseen.unwrap(), &commit.world.rules.faults);
            let fault = faults.iter().next().unwrap();
            from > now && commit.world.clock.now(0) == from && fault.holds_at(from) && !fault.holds_at(now)
        };
        world.expect_commit().once().withf(holds).returning(|_| Ok(()));
        let posted = post(world, refusing_stop(), false).await.unwrap();
        assert_eq!((posted.matches, posted.struck), (0, 0));
    }

    #[tokio::test]
    async fn who_posts_what_another_posted_too_is_told_of_his_own() {
        let mut world = MockWorldStore::new();
        let mut reads = 0;
        world.expect_read().returning(move || {
            reads += 1;
            let both = vec![refusing_stop(); if reads == 1 { 0 } else { 2 }];
            Ok(view_with(&both, Preset::Instant, "10s"))
        });
        let written = Arc::new(std::sync::Mutex::new(None));
        let kept = written.clone();
        world.expect_commit().once().returning(move |commit| {
            *kept.lock().unwrap() = commit.world.rules.faults.iter().next().cloned();
            Ok(())
        });
        let posted = post(world, refusing_stop(), false).await.unwrap();
        assert_eq!(Some(posted.fault), *written.lock().unwrap());
    }

    fn refusing_stop() -> FaultRule {
        refusing(Cause::Stop)
    }

    #[tokio::test]
    async fn what_makes_no_sense_or_is_only_tried_is_not_written() {
        let tried = post(fixtures::world(), refusing_stop(), true).await.unwrap();
        assert_eq!(tried.fault.rule, refusing_stop());
        let nowhere = |field, text: &str| {
            let mut rule = refusing_stop();
            rule.selector.add(field, text).unwrap();
            post(MockWorldStore::new(), rule, false)
        };
        assert!(matches!(nowhere(SelectorField::Region, "Z").await, Err(Error::UnknownRegion(_))));
        assert!(matches!(nowhere(SelectorField::MachineType, "huge").await, Err(Error::UnknownMachineType(_))));
        let never = FaultRule { times: Some(0), ..refusing_stop() };
        let refused = post(fixtures::world(), never, false).await;
        assert!(matches!(refused, Err(Error::InvalidFault(why)) if why.field == FaultField::Times));
        let many = vec![refusing_stop(); Faults::MAX_AT_ONCE];
        let refused = post(world_with(many, Preset::Instant, "0s"), refusing_stop(), false).await;
        assert!(matches!(refused, Err(Error::TooManyFaults)));
    }

    #[tokio::test]
    async fn a_fault_is_removed_once_and_of_none_nothing_is_written() {
        let view = view_with(&[refusing_stop()], Preset::Instant, "0s");
        let id = view.world.rules.faults.iter().next().unwrap().id;
        for all in [false, true] {
            let mut world = world_with(vec![refusing_stop()], Preset::Instant, "0s");
            let gone = |commit: &crate::ports::WorldCommit| commit.world.rules.faults.iter().next().is_none();
            world.expect_commit().once().withf(gone).returning(|_| Ok(()));
            let set = set(world);
            if all { set.remove_all().await.unwrap() } else { set.remove(id).await.unwrap() }
        }
        assert!(matches!(set(fixtures::world()).remove(id).await, Err(Error::NoSuchFault)));
        set(fixtures::world()).remove_all().await.unwrap();
    }

    #[tokio::test]
    async fn faults_are_shown_with_what_they_matched() {
        let limited = FaultRule { after: 1, times: Some(2), ..loses("/machines") };
        let faults = vec![refusing_stop(), limited];
        let view = view_with(&faults, Preset::Instant, "0s");
        let ids: Vec<_> = view.world.rules.faults.iter().map(|fault| fault.id).collect();
        let (stop, lost) = (ids[0], ids[1]);
        for (counted, shown) in [(1, (1, 0)), (2, (2, 1)), (9, (3, 2))] {
            let mut store = MockFaultStore::new();
            store.expect_matches().returning(move || Ok(vec![FaultMatches { fault: stop, matches: 5, struck: 4 }]));
            store.expect_requests().returning(move || Ok(vec![(lost, counted)]));
            let world: Arc<dyn WorldStore> = Arc::new(world_with(faults.clone(), Preset::Instant, "0s"));
            let mut machines = MockMachineStore::new();
            machines.expect_due().returning(|_, _| Ok(vec![]));
            let settler = Settler::new(world.clone(), Arc::new(machines));
            let get = GetFaults { world, faults: Arc::new(store), settler };
            let told = |view: FaultView| (view.matches, view.struck);
            assert_eq!(told(get.get(stop).await.unwrap()), (5, 4));
            assert_eq!(told(get.get(lost).await.unwrap()), shown);
            assert!(matches!(get.get(FaultId::from_bytes([7; 12])).await, Err(Error::NoSuchFault)));
        }
    }

    /// What strikes so many requests, one after the other.
    async fn strikes(faults: Vec<FaultRule>, (method, path): (&str, &str), times: usize) -> Vec<bool> {
        let mut store = MockFaultStore::new();
        let mut counts = std::collections::HashMap::new();
        store.expect_count_request().returning(move |fault, counted| {
            let count = counts.entry((fault, counted == RequestCounted::Drawn)).or_insert(0);
            *count += 1;
            Ok(*count - 1)
        });
        let world = Arc::new(world_with(faults, Preset::Instant, "10s"));
        let strike = StrikeRequest { world, faults: Arc::new(store) };
        let mut struck = Vec::new();
        for _ in 0..times {
            struck.push(strike.run(method, path).await.unwrap().is_some());
        }
        struck
    }

    #[tokio::test]
    async fn a_request_is_struck_after_some_and_so_many_times() {
        let limited = FaultRule { after: 1, times: Some(2), ..loses("/machines/*") };
        let post = ("POST", "/machines/1");
        assert_eq!(strikes(vec![limited.clone()], post, 5).await, [false, true, true, false, false]);
        assert_eq!(strikes(vec![limited.clone(), loses("/machines*")], post, 4).await, [true; 4]);
        assert_eq!(strikes(vec![limited.clone()], ("GET", "/machines/1"), 3).await, [false; 3]);
        assert_eq!(strikes(vec![limited], ("POST", "/clusters"), 3).await, [false; 3]);
    }

    #[tokio::test]
    async fn by_odds_the_same_requests_are_struck_each_time() {
        let half = FaultRule { probability: Odds::millionths(500_000), ..loses("/machines") };
        let struck = strikes(vec![half.clone()], ("POST", "/machines"), 100).await;
        let count = struck.iter().filter(|struck| **struck).count();
        assert!((30..70).contains(&count), "{count} of 100");
        assert_eq!(strikes(vec![half], ("POST", "/machines"), 100).await, struck);
    }
}
