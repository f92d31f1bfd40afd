//! Walking through the machines of a fleet operation.

use cloudm_domain::{Order, Selector};
use futures_util::future::join;

use super::Fleet;
use super::decide::decide;
use super::fleet::{Decided, noted};
use crate::error::Error;
use crate::ports::{Cursor, FleetOperation, FleetWork, MachinePage, MachineQuery, MachineWalk, SortKey, WorldView};

/// Machines that are decided in one go.
const A_TURN: usize = 8;

/// Machines that were read while those before them were written.
#[derive(Default)]
pub(crate) struct Ahead(Option<Read>);

/// Machines that were read.
struct Read {
    /// The key after which they come.
    after: Option<SortKey>,
    page: MachinePage,
    /// The world, just before.
    view: WorldView,
    /// What gives the ones after them.
    walk: Box<dyn MachineWalk>,
}

impl Ahead {
    /// Gives those that come after a key.
    fn take(&mut self, after: Option<&SortKey>) -> Option<Read> {
        self.0.take().filter(|read| read.after.as_ref() == after)
    }
}

impl Fleet {
    /// Decides and writes at most so many machines after a key, and meanwhile reads the ones after them.
    pub(super) async fn walk(
        &self,
        operation: &FleetOperation,
        after: Option<SortKey>,
        most: usize,
        ahead: &mut Ahead,
    ) -> Result<Option<FleetOperation>, Error> {
        let Read { page, view, walk, .. } = match ahead.take(after.as_ref()) {
            Some(read) => read,
            None => self.read(self.machines_of(operation, after.clone(), most), after).await?,
        };
        let (mut view, turn) = self.commands.counted(view).await?;
        let mut decided = Vec::with_capacity(page.machines.len());
        for (place, placed) in page.machines.into_iter().enumerate() {
            decided.extend(decide(&operation.work, placed, &view).map(|entry| noted(entry, &mut view)));
            if place % A_TURN == A_TURN - 1 {
                // Whoever waits for the core has a turn.
                std::thread::yield_now();
            }
        }
        let last = page.next.is_none();
        let following = page.next.clone();
        let cursor = match (&operation.work, page.next) {
            (_, Some(next)) => Cursor::Walked(Some(next)),
            (FleetWork::DeleteCluster(_), None) => Cursor::Emptying,
            (_, None) => operation.cursor.clone(),
        };
        let write = self.write(operation, Decided { entries: decided, cursor, last }, (view, turn));
        let read = async {
            match following {
                // Where that fails, it is read when its turn comes.
                Some(after) => self.read(walk, Some(after)).await.ok(),
                None => None,
            }
        };
        let (written, read) = join(write, read).await;
        *ahead = Ahead(read);
        written
    }

    fn machines_of(&self, operation: &FleetOperation, after: Option<SortKey>, limit: usize) -> Box<dyn MachineWalk> {
        let (selector, made_by) = (selector(&operation.work), Some(operation.accepted.clone()));
        self.commands.machines.walk(MachineQuery { selector, order: Order::default(), after, made_by, limit })
    }

    /// Reads the next machines of a walk, which come after a key.
    async fn read(&self, mut walk: Box<dyn MachineWalk>, after: Option<SortKey>) -> Result<Read, Error> {
        let view = self.commands.world.read().await?;
        self.settler.settle_through(&view).await?;
        let page = walk.next().await?;
        Ok(Read { after, page, view, walk })
    }
}

/// Which machines an operation is about.
fn selector(work: &FleetWork) -> Selector {
    match work {
        FleetWork::Operate(selector, _) | FleetWork::Tag { selector, .. } => selector.clone(),
        FleetWork::DeleteCluster(cluster) => Selector::of_cluster(*cluster),
        FleetWork::Create(template) => Selector::of_cluster(template.cluster),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, operation};
    use crate::ports::{FleetWorked, MockClusterStore, MockMachineStore, MockOperationStore};
    use cloudm_domain::{Command, OrderKey, Preset};
    use parking_lot::Mutex;
    use std::sync::Arc;

    fn key(name: &'static str) -> SortKey {
        SortKey::of(&fixtures::placed(Preset::Realistic, name).machine, OrderKey::CreatedAt)
    }

    /// Works an operation off whose walk has these keys between its pages; gives what was read and written, in order.
    async fn steps(keys: Vec<SortKey>) -> Vec<String> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        let (pages, read) = (keys.clone(), done.clone());
        machines.expect_walk().once().returning(fixtures::walking(move |query| {
            let place = query.after.as_ref().map_or(0, |after| pages.iter().position(|key| key == after).unwrap() + 1);
            read.lock().push(format!("read {place}"));
            let machines = vec![fixtures::placed(Preset::Realistic, "web-1")];
            MachinePage { machines, next: pages.get(place).cloned() }
        }));
        let (mut operations, written) = (MockOperationStore::new(), done.clone());
        let work = FleetWork::Operate(Selector::default(), Command::Stop.into());
        let operated = operation(work.clone());
        operations.expect_work().returning(move |batch| {
            let place = match (&batch.ending, &batch.cursor) {
                (None, Cursor::Walked(Some(after))) => keys.iter().position(|key| key == after).unwrap(),
                _ => keys.len(),
            };
            written.lock().push(format!("write {place}"));
            let mut operation = operated.clone();
            operation.cursor = batch.cursor.clone();
            batch.ending.iter().for_each(|ending| operation.end(ending));
            Ok(FleetWorked { operation, entries: batch.entries.iter().map(|_| Ok(())).collect() })
        });
        let world = fixtures::world_of(Preset::Realistic, "10m");
        fixtures::fleet(world, machines, MockClusterStore::new(), operations).work_off(operation(work)).await.unwrap();
        done.lock().clone()
    }

    #[tokio::test]
    async fn each_page_is_read_once_while_the_one_before_is_written() {
        assert_eq!(
            steps(vec![key("web-1"), key("web-2")]).await,
            ["read 0", "write 0", "read 1", "write 1", "read 2", "write 2"]
        );
        assert_eq!(steps(vec![]).await, ["read 0", "write 0"]);
    }
}
