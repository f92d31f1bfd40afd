//! The database of a server used by the driver alone: the reads and the transaction that a request makes, without the
//! request.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use futures_util::{TryStreamExt, try_join};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReturnDocument, TransactionOptions, WriteConcern};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::runtime::{self, Runtime};

use super::bulk::{ARRIVED, ON_ITS_WAY};
use crate::clock::Moment;
use crate::requests::{Id, Shuffle};
use crate::sample::What;

/// Connections, as the server has them.
const CONNECTIONS: u32 = 64;

/// How long it is done before it counts, in which connections are made.
const WARMING: Duration = Duration::from_millis(500);

/// The driver, and the machines that nobody else operates.
pub(crate) struct MongoLoop {
    /// Kept with its connections, as a server keeps them.
    runtime: Runtime,
    user: User,
}

impl MongoLoop {
    /// Connects to the database of a server.
    pub(crate) fn connect(uri: &str, database: &str, ids: &[Id]) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let user = runtime.block_on(User::connect(uri, database, ids))?;
        Ok(Self { runtime, user })
    }

    /// How often a second so many tasks do it.
    pub(crate) fn measure(&self, what: What, clients: u32, span: Duration) -> Result<f64> {
        self.runtime.block_on(async {
            self.user.crowd(what, clients, WARMING).await?;
            self.user.crowd(what, clients, span).await
        })
    }
}

struct User {
    database: Database,
    world: ObjectId,
    ids: Vec<Id>,
}

impl User {
    async fn connect(uri: &str, database: &str, ids: &[Id]) -> Result<Self> {
        let mut options = ClientOptions::parse(uri).await?;
        options.max_pool_size = Some(CONNECTIONS);
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(WriteConcern::majority());
        let database = Client::with_options(options)?.database(database);
        let worlds: Collection<Document> = database.collection("worlds");
        let default = worlds.find_one(doc! { "_id": "default" }).await?.context("there is no world")?;
        Ok(Self { world: default.get_object_id("incarnation")?, database, ids: ids.into() })
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// So many tasks for a while, each with machines of its own; gives turns a second.
    async fn crowd(&self, what: What, clients: u32, span: Duration) -> Result<f64> {
        let begun = Moment::now();
        let tasks = (0..clients as usize).map(|task| self.task(what, (task, clients as usize), begun, span));
        let turns: u64 = try_join_all(tasks).await?.into_iter().sum();
        Ok(turns as f64 / begun.seconds())
    }

    async fn task(&self, what: What, (task, tasks): (usize, usize), begun: Moment, span: Duration) -> Result<u64> {
        let (mut turns, mut shuffle) = (0, Shuffle::new(task as u64));
        while begun.elapsed() < span {
            let place = (task + shuffle.below((self.ids.len() / tasks).max(1)) * tasks) % self.ids.len().max(1);
            let id = self.ids.get(place).context("no machine")?;
            let key = self.key(String::from_utf8_lossy(id));
            match what {
                What::Action => self.act(key).await?,
                _ => self.get(key).await?,
            }
            turns += 1;
        }
        Ok(turns)
    }

    /// The `_id` of what has an id in the world.
    fn key(&self, id: impl std::fmt::Display) -> String {
        format!("{}/{id}", self.world)
    }

    /// Reads a machine with its cluster and, beside it, the record of the world with its counter.
    async fn get(&self, key: String) -> Result<()> {
        let machine = async {
            let place = doc! { "from": "clusters", "localField": "cluster", "foreignField": "_id", "as": "place" };
            let pipeline = [doc! { "$match": { "_id": key } }, doc! { "$lookup": place }];
            let machines = self.collection("machines");
            machines.aggregate(pipeline).read_concern(ReadConcern::snapshot()).await?.try_next().await
        };
        let record = async { self.collection("incarnations").find_one(doc! { "_id": self.world }).await };
        let counter = async { self.collection("sequences").find_one(doc! { "_id": self.world }).await };
        let (machine, _, _) = try_join!(machine, record, counter)?;
        machine.context("a machine is missing").map(drop)
    }

    /// Reads a machine, and writes it in another state with the two events of its way there.
    async fn act(&self, key: String) -> Result<()> {
        let machine = self.collection("machines").find_one(doc! { "_id": &key }).await?.context("no machine")?;
        let mut session = self.database.client().start_session().await?;
        let options = TransactionOptions::builder().read_concern(ReadConcern::snapshot());
        session.start_transaction().with_options(options.write_concern(WriteConcern::majority()).build()).await?;
        self.write(&mut session, key, machine).await?;
        session.commit_transaction().await?;
        Ok(())
    }

    async fn write(&self, session: &mut ClientSession, key: String, mut machine: Document) -> Result<()> {
        let (version, ordinal) = (machine.get_i64("version")?, machine.get_i64("ordinal")?);
        let state = if machine.get_str("state")? == "RUNNING" { "STOPPED" } else { "RUNNING" };
        machine.extend(doc! { "state": state, "version": version + 2, "ordinal": ordinal + 2 });
        let at = machine.get_datetime("updated_at").copied()?;
        let before = doc! { "_id": &key, "version": version };
        self.collection("machines").find_one_and_replace(before, machine).session(&mut *session).await?;
        let first = self.numbers(2, at).await?;
        let id = key.rsplit('/').next().unwrap_or_default();
        let machine = ObjectId::parse_str(id)?;
        let events = (0..).zip([ON_ITS_WAY, ARRIVED]).map(|(place, change)| {
            let change = Binary { subtype: BinarySubtype::Generic, bytes: change.to_vec() };
            let event = doc! {
                "machine": machine, "version": version + 1 + place, "at": at, "kind": "STATE_ENTERED", "change": change,
            };
            doc! { "_id": self.key(first + place), "w": self.world, "seq": first + place, "event": event }
        });
        self.collection("events").insert_many(events).session(session).await?;
        Ok(())
    }

    /// Takes numbers of the order of commits; gives the first.
    async fn numbers(&self, count: i64, at: DateTime) -> Result<i64> {
        let take = doc! { "$inc": { "last": count }, "$max": { "reached": at } };
        let unsafe_writes = WriteConcern::builder().w(Acknowledgment::Nodes(1)).journal(false).build();
        let counters = self.collection("sequences");
        let taken = counters.find_one_and_update(doc! { "_id": self.world }, take).write_concern(unsafe_writes);
        let counter = taken.return_document(ReturnDocument::After).await?.context("a world without a counter")?;
        Ok(counter.get_i64("last")? - count + 1)
    }
}
