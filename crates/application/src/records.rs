//! Changes of a world's record: one read, one decision, one write, until nothing came between.

use std::sync::Arc;

use cloudm_domain::{Clock, Instant, Rules, Seed, Span, Timeline};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Error;
use crate::idempotency::Stop;
use crate::machines::MAX_ATTEMPTS;
use crate::ports::{KeptAnswer, World, WorldCommit, WorldCommitError, WorldStore, WorldView};
use crate::writing::Writing;

/// Changes the record of a world.
pub(crate) struct Records {
    world: Arc<dyn WorldStore>,
    /// Those of one process take turns, so that a crowd does not burn its retries.
    turn: Mutex<()>,
}

/// What to write.
pub(crate) struct Change {
    /// The record, changed.
    pub(crate) world: World,
    /// An instant that the clock must not have shown.
    pub(crate) unseen: Option<Instant>,
    /// The answer to keep with it.
    pub(crate) keep: Option<KeptAnswer>,
}

impl From<World> for Change {
    fn from(world: World) -> Self {
        Self { world, unseen: None, keep: None }
    }
}

impl Records {
    pub(crate) fn new(world: Arc<dyn WorldStore>) -> Self {
        Self { world, turn: Mutex::default() }
    }

    pub(crate) async fn read(&self) -> Result<WorldView, Error> {
        Ok(self.world.read().await?)
    }

    /// Waits for the turn to change the record.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Writes the record unless another change came since `view`; says whether it did.
    pub(crate) async fn write(&self, view: &WorldView, change: Change) -> Result<bool, Stop> {
        let expected = view.world.version;
        let Change { mut world, unseen, keep } = change;
        world.version = expected.saturating_add(1);
        match self.world.commit(WorldCommit { expected, world, unseen, keep }).await {
            Ok(()) => Ok(true),
            Err(WorldCommitError::Conflict) => Ok(false),
            Err(WorldCommitError::KeyTaken) => Err(Stop::KeyTaken),
            Err(WorldCommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Changes the record as `decide` decides, which is told the how manieth attempt it is.
    pub(crate) async fn change(
        &self,
        decide: impl Fn(&WorldView, u32) -> Result<Change, Error> + Sync,
    ) -> Result<WorldView, Error> {
        let decide = |view: &WorldView, attempt| Ok((decide(view, attempt)?, ()));
        self.change_with(decide).await.map_err(Stop::into_error)?;
        self.read().await
    }

    /// The same; gives what `decide` gave beside the change that was written, which may have an answer to keep.
    pub(crate) async fn change_with<T: Send>(
        &self,
        decide: impl Fn(&WorldView, u32) -> Result<(Change, T), Error> + Sync,
    ) -> Result<T, Stop> {
        let _turn = self.turn().await;
        for attempt in 0..MAX_ATTEMPTS as u32 {
            let view = self.read().await?;
            let (change, told) = decide(&view, attempt)?;
            if self.write(&view, change).await? {
                return Ok(told);
            }
        }
        Err(Error::Contention.into())
    }
}

/// The most changes that a timeline of rules has.
pub(crate) const MAX_CHANGES: usize = 1_000;

/// How far ahead a change of rules holds at first, in wall time: longer than it takes to be written, so that a clock that runs
/// has not shown its instant by then. Each time it has, twice as far.
const AHEAD_MILLIS: u64 = 25;

/// A change of the rules of a world, from an instant on to which the clock is moved: the next millisecond, and where the clock runs, so
/// far ahead that nobody has been shown it. `edit` is told the instant; with the change, what it gave.
fn rules_changed<T>(
    (view, attempt): (&WorldView, u32),
    edit: impl FnOnce(&mut Rules, Instant) -> Result<T, Error>,
) -> Result<(Change, T), Error> {
    let rate = view.world.clock.rate();
    let from = view.now.plus(Span::from_millis(1)).plus(rate.over(AHEAD_MILLIS << attempt.min(8)));
    if from >= Instant::MAX {
        return Err(Error::EndOfTime);
    }
    let mut world = World::clone(&view.world);
    let told = edit(&mut world.rules, from)?;
    world.clock = Clock::new(from, view.wall, rate);
    Ok((Change { world, unseen: Some(from), keep: None }, told))
}

impl Records {
    /// Changes rules. See [`rules_changed`].
    pub(crate) async fn edit_rules(
        &self,
        edit: impl Fn(&mut Rules, Instant) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let decide = |view: &WorldView, attempt| rules_changed((view, attempt), &edit);
        self.change_with(decide).await.map_err(Stop::into_error)
    }

    /// Adds to the rules of a world, of which `add` is told the seed too; gives what it gave, and keeps that as the answer.
    pub(crate) async fn add_rule<T: Send>(
        &self,
        writing: &Writing<T>,
        add: impl Fn(&mut Rules, Instant, Seed) -> Result<T, Error> + Sync,
    ) -> Result<T, Stop> {
        let decide = |view: &WorldView, attempt| {
            let add = |rules: &mut Rules, from| add(rules, from, view.world.seed);
            let (mut change, added) = rules_changed((view, attempt), add)?;
            change.keep = writing.keep(&added, view.wall);
            Ok((change, added))
        };
        if writing.dry_run {
            return Ok(decide(&self.read().await?, 0)?.1);
        }
        self.change_with(decide).await
    }

    /// Changes rules that are one timeline. See [`rules_changed`].
    pub(crate) async fn change_rules<T: Clone + Sync>(
        &self,
        timeline: impl Fn(&mut Rules) -> &mut Timeline<T> + Sync,
        rule: T,
    ) -> Result<WorldView, Error> {
        let edit = |rules: &mut Rules, from| {
            let timeline = timeline(rules);
            if timeline.changes() >= MAX_CHANGES {
                return Err(Error::TooManyRules);
            }
            timeline.push(from, rule.clone()).map_err(|_| Error::EndOfTime)
        };
        self.edit_rules(edit).await?;
        self.read().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockWorldStore;
    use cloudm_domain::Preset;

    fn change(view: &WorldView) -> Result<Change, Error> {
        Ok(World::clone(&view.world).into())
    }

    #[tokio::test]
    async fn a_change_is_decided_anew_where_another_came_first() {
        let mut world = MockWorldStore::new();
        world.expect_read().returning(|| Ok(fixtures::view(Preset::Instant, "0s")));
        let mut answers = [Err(WorldCommitError::Conflict), Ok(())].into_iter();
        world
            .expect_commit()
            .times(2)
            .withf(|commit| commit.expected == 1 && commit.world.version == 2)
            .returning(move |_| answers.next().unwrap());
        let records = Records::new(Arc::new(world));
        records.change(|view, _| change(view)).await.unwrap();
    }

    #[tokio::test]
    async fn it_is_not_tried_for_ever() {
        let mut world = MockWorldStore::new();
        world.expect_read().returning(|| Ok(fixtures::view(Preset::Instant, "0s")));
        world.expect_commit().times(MAX_ATTEMPTS).returning(|_| Err(WorldCommitError::Conflict));
        let changed = Records::new(Arc::new(world)).change(|view, _| change(view)).await;
        assert!(matches!(changed, Err(Error::Contention)));
    }
}
