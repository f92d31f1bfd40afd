//! How machines behave in a world.

use std::sync::Arc;

use cloudm_domain::Behaviour;

use crate::error::Error;
use crate::ports::WorldStore;
use crate::records::Records;

/// Reads how machines behave.
pub struct GetBehaviour {
    pub(crate) world: Arc<dyn WorldStore>,
}

impl GetBehaviour {
    /// What holds now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run(&self) -> Result<Behaviour, Error> {
        let view = self.world.read().await?;
        Ok(view.world.rules.behaviour.at(view.now).clone())
    }
}

/// Changes how machines behave, from now on.
pub struct SetBehaviour {
    pub(crate) records: Arc<Records>,
}

impl SetBehaviour {
    /// Lets machines behave so from the next instant on, to which the clock is moved. What was drawn before stays.
    ///
    /// # Errors
    /// [`Error::InvalidBehaviour`], [`Error::TooManyRules`], [`Error::EndOfTime`], [`Error::Contention`], [`Error::Store`].
    pub async fn run(&self, behaviour: Behaviour) -> Result<Behaviour, Error> {
        let mistakes = behaviour.mistakes();
        if !mistakes.is_empty() {
            return Err(Error::InvalidBehaviour(mistakes));
        }
        self.records.change_rules(|rules| &mut rules.behaviour, behaviour.clone()).await?;
        Ok(behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::MockWorldStore;
    use cloudm_domain::{Odds, Preset};

    #[tokio::test]
    async fn a_change_holds_from_an_instant_that_nobody_has_seen() {
        let mut world = MockWorldStore::new();
        world.expect_read().returning(|| Ok(fixtures::view(Preset::Instant, "10s")));
        let now = fixtures::view(Preset::Instant, "10s").now;
        world
            .expect_commit()
            .once()
            .withf(move |commit| {
                let from = commit.unseen.unwrap();
                let rules = &commit.world.rules.behaviour;
                from > now
                    && commit.world.clock.now(0) == from
                    && rules.at(now) == &Preset::Instant.behaviour()
                    && rules.at(from) == &Preset::Flaky.behaviour()
            })
            .returning(|_| Ok(()));
        let set = SetBehaviour { records: Arc::new(Records::new(Arc::new(world))) };
        set.run(Preset::Flaky.behaviour()).await.unwrap();
    }

    #[tokio::test]
    async fn a_behaviour_with_mistakes_is_refused_before_anything_is_asked() {
        let set = SetBehaviour { records: Arc::new(Records::new(Arc::new(MockWorldStore::new()))) };
        let mut behaviour = Preset::Realistic.behaviour();
        behaviour.stopping.fail = Odds::ALWAYS;
        behaviour.terminating.fail = Odds::ALWAYS;
        let refused = set.run(behaviour).await;
        assert!(matches!(refused, Err(Error::InvalidBehaviour(mistakes)) if mistakes.len() == 2));
    }
}
