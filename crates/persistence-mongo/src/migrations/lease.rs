//! The lease of whoever migrates a database.

use std::time::Duration;

use cloudm_application::ports::Entropy;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use tokio::time::sleep;

use crate::error::is_duplicate;

const LEASES: &str = "leases";
const NAME: &str = "migrations";

/// How long it lasts from when it was taken or renewed, in milliseconds of the database's clock. Each command renews it.
const LASTS_MILLIS: i64 = 10_000;

/// The pause between two attempts to get it.
const LOOK: Duration = Duration::from_millis(50);

/// The right to migrate, until it is released or runs out.
pub(crate) struct Lease {
    leases: Collection<Document>,
    holder: String,
}

impl Lease {
    /// Waits until nobody else has it.
    pub(crate) async fn take(database: &Database, entropy: &dyn Entropy) -> Result<Self, Error> {
        let holder = format!("{:032x}", u128::from_be_bytes(entropy.bytes()));
        let lease = Self { leases: database.collection(LEASES), holder };
        for attempt in 0_u32.. {
            if lease.hold().await? {
                break;
            }
            if attempt == 0 {
                tracing::info!("another server migrates the database: waiting for it");
            }
            sleep(LOOK).await;
        }
        Ok(lease)
    }

    /// Makes it last on. Where it ran out and another server has it, that one runs the same commands, which may be
    /// repeated.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        self.hold().await.map(drop)
    }

    /// Gives it back.
    pub(crate) async fn release(self) -> Result<(), Error> {
        self.leases.delete_one(doc! { "_id": NAME, "holder": &self.holder }).await.map(drop)
    }

    /// Holds it from now on, where nobody else does; tells whether that is so.
    async fn hold(&self) -> Result<bool, Error> {
        let never = DateTime::from_millis(0);
        let over = doc! { "$lte": [{ "$ifNull": ["$until", never] }, "$$NOW"] };
        let free = doc! { "$or": [over, { "$eq": ["$holder", &self.holder] }] };
        let later = doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": LASTS_MILLIS } };
        let hold = doc! {
            "holder": { "$cond": [&free, &self.holder, "$holder"] },
            "until": { "$cond": [free, later, "$until"] },
        };
        let held = self.leases.find_one_and_update(doc! { "_id": NAME }, vec![doc! { "$set": hold }]);
        match held.upsert(true).return_document(ReturnDocument::After).await {
            Ok(lease) => Ok(lease.is_some_and(|lease| lease.get_str("holder").ok() == Some(&self.holder))),
            // Two that found none made one at the same moment.
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
