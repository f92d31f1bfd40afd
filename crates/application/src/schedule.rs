//! What is done to the machines of a world at known instants.

use std::sync::Arc;

use cloudm_domain::{Catalogue, Instant, Rules, Schedule, ScheduleEntry, ScheduleId, ScheduleRule, Seed};

use crate::error::Error;
use crate::faults::check_selector;
use crate::idempotency::{Answers, Stop};
use crate::ports::WorldStore;
use crate::records::Records;
use crate::writing::{Reply, Writing};

/// Reads the schedule of a world.
#[derive(Clone)]
pub struct GetSchedule {
    pub(crate) world: Arc<dyn WorldStore>,
}

impl GetSchedule {
    /// All entries, also those that are over, the first posted first; and the virtual time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self) -> Result<(Vec<ScheduleEntry>, Instant), Error> {
        let view = self.world.read().await?;
        Ok((view.world.rules.schedule.iter().cloned().collect(), view.now))
    }

    /// One entry; and the virtual time.
    ///
    /// # Errors
    /// [`Error::NoSuchScheduleEntry`], [`Error::Store`].
    pub async fn get(&self, id: ScheduleId) -> Result<(ScheduleEntry, Instant), Error> {
        let view = self.world.read().await?;
        let entry = view.world.rules.schedule.get(id).ok_or(Error::NoSuchScheduleEntry)?;
        Ok((entry.clone(), view.now))
    }
}

/// Changes the schedule of a world.
pub struct SetSchedule {
    pub(crate) records: Arc<Records>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) answers: Arc<Answers>,
}

impl SetSchedule {
    /// Adds an entry, which holds from the next instant on, to which the clock is moved. Machines are told when it says, those that
    /// are there then.
    ///
    /// # Errors
    /// [`Error::UnknownRegion`], [`Error::UnknownMachineType`], [`Error::InvalidSchedule`], [`Error::TooManyRules`],
    /// [`Error::EndOfTime`], those of idempotency keys, [`Error::Contention`], [`Error::Store`].
    pub async fn post(
        &self,
        rule: ScheduleRule,
        writing: Writing<(ScheduleEntry, Instant)>,
    ) -> Result<Reply<(ScheduleEntry, Instant)>, Error> {
        self.answers.once(&writing, Box::pin(self.add(&rule, &writing))).await
    }

    async fn add(
        &self,
        rule: &ScheduleRule,
        writing: &Writing<(ScheduleEntry, Instant)>,
    ) -> Result<(ScheduleEntry, Instant), Stop> {
        check_selector(&rule.selector, &self.catalogue)?;
        let add = |rules: &mut Rules, from: Instant, seed: Seed| {
            rule.check(from)?;
            if rules.schedule.len() >= Schedule::MAX {
                return Err(Error::TooManyRules);
            }
            Ok((rules.schedule.push(rule.clone(), from, seed).clone(), from))
        };
        self.records.add_rule(writing, add).await
    }

    /// Takes out an entry of which nobody was told. What was announced comes to pass.
    ///
    /// # Errors
    /// [`Error::NoSuchScheduleEntry`], [`Error::Announced`], [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn remove(&self, id: ScheduleId) -> Result<(), Error> {
        let remove = |rules: &mut Rules, from| {
            let at = rules.schedule.get(id).ok_or(Error::NoSuchScheduleEntry)?.announced_at;
            let removed = rules.schedule.remove(|entry| entry.id == id, from);
            if removed { Ok(()) } else { Err(Error::Announced { at }) }
        };
        self.records.edit_rules(remove).await
    }

    /// Takes out all entries of which nobody was told. Where there is none, nothing changes.
    ///
    /// # Errors
    /// [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn remove_all(&self) -> Result<(), Error> {
        let remove = |rules: &mut Rules, from| {
            let removed = rules.schedule.remove(|_| true, from);
            if removed { Ok(()) } else { Err(Error::NoSuchScheduleEntry) }
        };
        match self.records.edit_rules(remove).await {
            Err(Error::NoSuchScheduleEntry) => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{MockAnswerStore, MockWorldStore};
    use cloudm_domain::{Preset, ScheduleKind, Selector, Span};

    fn rule(after: u64) -> ScheduleRule {
        let at = Instant::DEFAULT_START.plus(Span::from_secs(after));
        ScheduleRule {
            kind: ScheduleKind::SpotTermination,
            selector: Selector::default(),
            not_before: at,
            deadline: at,
            notice: Span::from_secs(120),
        }
    }

    /// A world an hour after its start, with a schedule.
    fn set(rules: &[ScheduleRule], commits: impl FnOnce(&mut MockWorldStore)) -> SetSchedule {
        let mut view = fixtures::view(Preset::Instant, "1h");
        let mut world = view.world.as_ref().clone();
        for rule in rules {
            world.rules.schedule.push(rule.clone(), world.start, world.seed);
        }
        view.world = Arc::new(world);
        let mut store = MockWorldStore::new();
        store.expect_read().returning(move || Ok(view.clone()));
        commits(&mut store);
        let world: Arc<dyn WorldStore> = Arc::new(store);
        let answers = Arc::new(Answers::new(world.clone(), Arc::new(MockAnswerStore::new())));
        SetSchedule { records: Arc::new(Records::new(world)), catalogue: Arc::default(), answers }
    }

    #[tokio::test]
    async fn an_entry_holds_from_an_instant_that_nobody_was_shown() {
        let set = set(&[], |store| {
            store
                .expect_commit()
                .once()
                .withf(|commit| {
                    let entry = commit.world.rules.schedule.iter().next().unwrap();
                    let shown = Instant::DEFAULT_START.plus(Span::from_secs(3_600));
                    commit.unseen == Some(entry.announced_at) && entry.announced_at > shown
                })
                .returning(|_| Ok(()));
        });
        let Ok(Reply::Fresh((entry, _))) = set.post(rule(3_610), Writing::default()).await else { panic!("refused") };
        assert_eq!(entry.rule, rule(3_610));
    }

    #[tokio::test]
    async fn what_is_past_or_elsewhere_is_refused() {
        let set = set(&[], |_| ());
        assert!(matches!(set.post(rule(60), Writing::default()).await, Err(Error::InvalidSchedule(_))));
        let selector = Selector { regions: vec!["nowhere".parse().unwrap()], ..Selector::default() };
        let elsewhere = ScheduleRule { selector, ..rule(9_999) };
        assert!(matches!(set.post(elsewhere, Writing::default()).await, Err(Error::UnknownRegion(_))));
    }

    #[tokio::test]
    async fn what_was_announced_comes_to_pass() {
        let set = set(&[rule(3_660), rule(9_999)], |store| {
            store.expect_commit().times(2).withf(|commit| commit.world.rules.schedule.len() == 1).returning(|_| Ok(()));
        });
        let (entries, _) = GetSchedule { world: Arc::new(schedule_of(&set).await) }.list().await.unwrap();
        assert!(matches!(set.remove(entries[0].id).await, Err(Error::Announced { .. })));
        set.remove(entries[1].id).await.unwrap();
        set.remove_all().await.unwrap();
        assert!(matches!(set.remove(ScheduleId::from_bytes([9; 12])).await, Err(Error::NoSuchScheduleEntry)));
    }

    async fn schedule_of(set: &SetSchedule) -> MockWorldStore {
        let view = set.records.read().await.unwrap();
        let mut store = MockWorldStore::new();
        store.expect_read().returning(move || Ok(view.clone()));
        store
    }
}
