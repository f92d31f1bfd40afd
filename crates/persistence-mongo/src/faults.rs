//! How often faults matched.
//!
//! Matches of machines are counted as machines are ([`counting`]); those of requests, which are in no history, by themselves.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;

use async_trait::async_trait;
use cloudm_application::ports::{FaultMatches, FaultStore, RequestCounted, StoreError};
use cloudm_domain::FaultId;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::doc;
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

use crate::document::{damaged, id_of, key, number};
use crate::error::is_duplicate;
use crate::world::OpenWorld;
use crate::{collections, counting, sweep};

/// How often the faults of one world matched.
pub(crate) struct Faults(pub(crate) Arc<OpenWorld>);

/// How often a fault matched requests.
#[derive(Debug, Serialize, Deserialize)]
struct Requests {
    #[serde(rename = "_id")]
    key: String,
    #[serde(default)]
    drawn: i64,
    #[serde(default)]
    matched: i64,
}

impl Faults {
    fn counters(&self) -> Collection<Requests> {
        self.0.collection(collections::FAULT_REQUESTS)
    }
}

#[async_trait]
impl FaultStore for Faults {
    async fn matches(&self) -> Result<Vec<FaultMatches>, StoreError> {
        let mut matches = BTreeMap::new();
        for (fault, struck, counted) in counting::of_faults(&self.0).await? {
            let one = matches.entry(fault).or_insert(FaultMatches { fault, matches: 0, struck: 0 });
            let counted = number("the matches of a fault", counted)?;
            if struck { one.struck = counted } else { one.matches = counted }
        }
        Ok(matches.into_values().collect())
    }

    async fn count_request(&self, fault: FaultId, counted: RequestCounted) -> Result<u64, StoreError> {
        let (counters, counter) = (self.counters(), doc! { "_id": key(self.0.id(), fault) });
        let field = match counted {
            RequestCounted::Drawn => "drawn",
            RequestCounted::Matched => "matched",
        };
        let count = || {
            let more = counters.find_one_and_update(counter.clone(), doc! { "$inc": { field: 1_i64 } });
            more.return_document(ReturnDocument::After).into_future()
        };
        let counted_one = async {
            if let Some(after) = count().await? {
                return Ok(Some(after));
            }
            // Made by itself: of many who would count and make it at once, some are told of no count.
            let none = Requests { key: key(self.0.id(), fault), drawn: 0, matched: 0 };
            match counters.insert_one(none).await {
                Err(error) if !is_duplicate(&error) => Err(error),
                _ => count().await,
            }
        };
        let after = self.0.base().ask(counted_one).await?.ok_or_else(|| damaged("a count", "there is none"))?;
        let counted = match counted {
            RequestCounted::Drawn => after.drawn,
            RequestCounted::Matched => after.matched,
        };
        number("the requests of a fault", counted - 1)
    }

    async fn requests(&self) -> Result<Vec<(FaultId, u64)>, StoreError> {
        let (counters, all) = (self.counters(), sweep::ids(self.0.id()));
        let found: Vec<Requests> = self.0.base().ask(async { counters.find(all).await?.try_collect().await }).await?;
        let read = |one: &Requests| Ok((id_of(&one.key)?, number("the requests of a fault", one.matched)?));
        found.iter().map(read).collect()
    }
}
