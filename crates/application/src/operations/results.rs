//! What came of a fleet operation, machine by machine.

use std::sync::Arc;

use cloudm_domain::{FleetOutcome, MachineId, Name, OperationId};

use super::Fleet;
use super::create::number_in_name;
use crate::error::Error;
use crate::paging::PageTokens;
use crate::ports::{FleetOperation, FleetResult, FleetWork};

/// What came of an operation for one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultView {
    /// The machine; where its creation was refused, the one that it would have been.
    pub machine: MachineId,
    /// Its name, where the operation made it.
    pub name: Option<Name>,
    /// What came of it.
    pub outcome: FleetOutcome,
}

/// A page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultList {
    /// The results: first of machines that refused, then of the others, each in the order of ids.
    pub items: Vec<ResultView>,
    /// Where to go on; none at the end.
    pub next_page_token: Option<String>,
}

/// Reads what came of a fleet operation, machine by machine.
pub struct OperationResults {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) tokens: Arc<PageTokens>,
}

impl OperationResults {
    /// A page of the results so far.
    ///
    /// # Errors
    /// [`Error::NoSuchOperation`], [`Error::InvalidPageToken`], [`Error::Store`].
    pub async fn run(
        &self,
        id: OperationId,
        page_size: usize,
        page_token: Option<String>,
    ) -> Result<ResultList, Error> {
        let world = self.fleet.commands.world.read().await?.world;
        let operation = self.fleet.operations.get(id).await?.ok_or(Error::NoSuchOperation)?;
        let scope = format!("results {} {id}", world.incarnation);
        let after = page_token.map(|token| self.tokens.open(&scope, &token)).transpose()?;
        let after = after.map(|(machine, outcome)| FleetResult { machine, outcome });
        let mut found = self.fleet.operations.results(id, after, page_size.saturating_add(1)).await?;
        let more = found.len() > page_size;
        found.truncate(page_size);
        let last = found.last().filter(|_| more).map(|last| (last.machine, last.outcome));
        let next_page_token = last.map(|last| self.tokens.seal(&scope, &last)).transpose()?;
        let items = found.into_iter().map(|result| view(&operation, result)).collect();
        Ok(ResultList { items, next_page_token })
    }
}

fn view(operation: &FleetOperation, result: FleetResult) -> ResultView {
    let FleetResult { machine, outcome } = result;
    let name = match &operation.work {
        FleetWork::Create(template) => template.name.name(number_in_name(machine.number_in_batch())).ok(),
        _ => None,
    };
    ResultView { machine, name, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{FleetTemplate, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{ClusterId, Instant, Protection, Seed, Tags};

    #[tokio::test]
    async fn pages_go_on_after_the_last_result_and_names_come_from_the_template() {
        let template = || FleetTemplate {
            count: 3,
            name: "web-{n}".parse().unwrap(),
            cluster: fixtures::cluster().id,
            machine_type: "small".parse().unwrap(),
            tags: Tags::default(),
            protection: Protection::default(),
            start: true,
        };
        let machine = |number| {
            let (seed, at) = (Seed::new(1).unwrap(), Instant::DEFAULT_START);
            MachineId::in_batch(seed, ClusterId::from_bytes([1; 12]), "web-{n}", at, (0, number))
        };
        let mut operations = MockOperationStore::new();
        operations.expect_get().returning(move |_| Ok(Some(fixtures::operation(FleetWork::Create(template())))));
        operations.expect_results().returning(move |_, after, limit| {
            let first = after.map_or(0, |after| after.machine.number_in_batch() + 1);
            let results = (first..3).map(|n| FleetResult { machine: machine(n), outcome: FleetOutcome::Done });
            Ok(results.take(limit).collect())
        });
        let (machines, clusters) = (MockMachineStore::new(), MockClusterStore::new());
        let fleet = Arc::new(fixtures::fleet(fixtures::world(), machines, clusters, operations));
        let results = OperationResults { fleet, tokens: Arc::new(PageTokens::new([1; 32])) };
        let id = OperationId::from_bytes([5; 12]);
        let first = results.run(id, 2, None).await.unwrap();
        let second = results.run(id, 2, first.next_page_token.clone()).await.unwrap();
        let names: Vec<_> = first.items.iter().chain(&second.items).filter_map(|view| view.name.clone()).collect();
        assert_eq!(names.iter().map(Name::as_str).collect::<Vec<_>>(), ["web-1", "web-2", "web-3"]);
        assert_eq!(second.next_page_token, None);
        let other = OperationId::from_bytes([6; 12]);
        let refused = results.run(other, 2, first.next_page_token).await;
        assert!(matches!(refused, Err(Error::InvalidPageToken)), "a token is bound to its operation");
    }
}
