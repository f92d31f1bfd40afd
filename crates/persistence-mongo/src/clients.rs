//! Clients of the driver: one for each runtime that asks.
//!
//! A client gives out its connections by tasks of the runtime that it was made on, and that runtime's thread is told what comes back on them. Who
//! asks from another runtime waits for that thread several times in each command. A server has a runtime for each thread that answers requests;
//! so each has a client of its own, with connections of its own, made when it first asks.
//!
//! A session and all that is done in it have to be of one client. They are, for a task stays on its runtime.

use std::collections::HashMap;

use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use parking_lot::RwLock;
use tokio::runtime::{Handle, Id};

/// The way to one database from every runtime.
pub(crate) struct Clients {
    options: ClientOptions,
    /// That of the runtime that the store was opened on.
    first: Database,
    made: RwLock<HashMap<Id, Database>>,
}

impl Clients {
    /// The most runtimes that have a client of their own; those beyond use the first.
    const MOST: usize = 256;

    /// Those that are made with `options` like the first, which is of this runtime.
    pub(crate) fn new(options: ClientOptions, first: Database) -> Self {
        let made = Handle::try_current().map(|here| (here.id(), first.clone())).into_iter().collect();
        Self { options, first, made: RwLock::new(made) }
    }

    /// The database, by the client of the runtime that asks.
    pub(crate) fn here(&self) -> Database {
        let Ok(here) = Handle::try_current() else { return self.first.clone() };
        let made = self.made.read().get(&here.id()).cloned();
        made.unwrap_or_else(|| self.make(here.id()))
    }

    fn make(&self, here: Id) -> Database {
        let mut made = self.made.write();
        if let Some(database) = made.get(&here) {
            return database.clone();
        }
        let client = (made.len() < Self::MOST).then(|| Client::with_options(self.options.clone()));
        // The first was made with the same options; it serves all.
        let Some(Ok(client)) = client else { return self.first.clone() };
        let database = client.database(self.first.name());
        made.insert(here, database.clone());
        database
    }
}

#[cfg(test)]
mod tests {
    use mongodb::ClientSession;
    use mongodb::bson::{Document, doc};
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::testing::fresh_clients;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Whether what is asked on this runtime may be asked in a session, which has to be of the same client.
    async fn is_of(session: &mut ClientSession, clients: &Clients) -> bool {
        let documents = clients.here().collection::<Document>("documents");
        documents.find_one(doc! {}).session(session).await.is_ok()
    }

    #[test]
    fn each_runtime_has_one_client() {
        let (first, other) = (runtime(), runtime());
        let clients = first.block_on(fresh_clients());
        for (here, elsewhere) in [(&first, &other), (&other, &first)] {
            let mut session = here.block_on(async { clients.here().client().start_session().await.unwrap() });
            assert!(here.block_on(is_of(&mut session, &clients)));
            assert!(!elsewhere.block_on(is_of(&mut session, &clients)));
        }
        assert_eq!(clients.made.read().len(), 2);
    }
}
