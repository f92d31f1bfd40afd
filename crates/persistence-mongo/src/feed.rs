//! What is committed, by whichever server, told as it happens: a change stream on the history.
//!
//! It only wakes who waits. Order and completeness are those of the numbers in [`crate::sequence`]: a change stream goes
//! back no further than the oplog, and a history does.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::error::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::collections;

/// The pause before a stream that broke is opened again, and between two looks of who waits without one.
const AGAIN: Duration = Duration::from_secs(1);

/// The greatest number heard of, of each incarnation of a world.
type Heard = BTreeMap<ObjectId, i64>;

/// Listens from when somebody first waits.
pub(crate) struct Feed {
    heard: watch::Sender<Heard>,
    listens: Once,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self { heard: watch::Sender::new(Heard::new()), listens: Once::new() }
    }

    /// Waits until a number after this one is heard of, or for a second: a stream may break, and the history is looked at
    /// itself then.
    pub(crate) async fn wait(&self, database: &Database, world: ObjectId, after: i64) {
        self.listens.call_once(|| self.listen(database.clone()));
        let mut heard = self.heard.subscribe();
        let beyond = heard.wait_for(|heard| heard.get(&world).is_some_and(|last| *last > after));
        // Either way the caller looks.
        let _ = timeout(AGAIN, beyond).await;
    }

    fn listen(&self, database: Database) {
        let heard = self.heard.clone();
        tokio::spawn(async move {
            // It ends with the store, whose receivers and this sender are all there are.
            while heard.sender_count() > 1 {
                if let Err(error) = follow(&database, &heard).await {
                    tracing::warn!(error = crate::error::text(&error), "the change stream broke; it is opened again");
                }
                sleep(AGAIN).await;
            }
        });
    }
}

async fn follow(database: &Database, heard: &watch::Sender<Heard>) -> Result<(), Error> {
    let events = database.collection::<Document>(collections::EVENTS);
    let inserted = doc! { "$match": { "operationType": "insert" } };
    let stream = events.watch().pipeline([inserted, doc! { "$project": { "fullDocument.event": 0 } }]).await?;
    let mut stream = stream.with_type::<ChangeStreamEvent<Document>>();
    while let Some(event) = stream.try_next().await? {
        if heard.sender_count() < 2 {
            return Ok(());
        }
        let inserted = event.full_document.as_ref();
        let Some((world, seq)) = inserted.and_then(|doc| doc.get_object_id("w").ok().zip(doc.get_i64("seq").ok()))
        else {
            continue;
        };
        heard.send_modify(|heard| {
            let last = heard.entry(world).or_insert(seq);
            *last = seq.max(*last);
        });
    }
    Ok(())
}
