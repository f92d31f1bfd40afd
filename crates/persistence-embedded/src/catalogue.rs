//! The catalogue: which worlds there are, and the key of page tokens.

use cloudm_application::ports::Entropy;
use cloudm_domain::{Incarnation, WorldName};
use rusqlite::{Connection, OptionalExtension, params};

use crate::columns::Columns;
use crate::directory::Directory;
use crate::error::{DbError, OpenError};
use crate::file::{self, Durability};
use crate::sql::catalogue as sql;

const PAGE_TOKEN_KEY: &str = "page_token_key";

/// The catalogue's file, open.
pub(crate) struct Catalogue(Connection);

impl Catalogue {
    /// Opens it, or makes it.
    pub(crate) fn open(directory: &Directory, durability: Durability) -> Result<Self, OpenError> {
        file::create(&directory.catalogue(), file::CATALOGUE, durability).map(Self)
    }

    /// The key of page tokens, made of `entropy` the first time.
    pub(crate) fn page_token_key(&self, entropy: &dyn Entropy) -> Result<[u8; 32], DbError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Columns(row).bytes(0));
        if let Some(key) = self.0.query_row(sql::SETTING_GET, [PAGE_TOKEN_KEY], read).optional()? {
            return key;
        }
        let mut key = [0; 32];
        key[..16].copy_from_slice(&entropy.bytes());
        key[16..].copy_from_slice(&entropy.bytes());
        self.0.execute(sql::SETTING_SET, params![PAGE_TOKEN_KEY, key])?;
        Ok(key)
    }

    /// The incarnation that a name points to.
    pub(crate) fn world(&self, name: &WorldName) -> Result<Option<Incarnation>, DbError> {
        let mut statement = self.0.prepare_cached(sql::WORLD_GET)?;
        let mut rows = statement.query([name.as_str()])?;
        rows.next()?.map(|row| Columns(row).id(0).map(Incarnation::from_bytes)).transpose()
    }

    /// The name that points to an incarnation.
    pub(crate) fn name(&self, incarnation: Incarnation) -> Result<Option<WorldName>, DbError> {
        let mut statement = self.0.prepare_cached(sql::WORLD_NAME)?;
        let mut rows = statement.query([incarnation.as_bytes()])?;
        rows.next()?.map(|row| Columns(row).parsed(0)).transpose()
    }

    /// The names after this one, in the order of their bytes.
    pub(crate) fn names(&self, after: Option<&WorldName>, limit: usize) -> Result<Vec<WorldName>, DbError> {
        let mut statement = self.0.prepare_cached(sql::WORLD_NAMES)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after.map_or("", WorldName::as_str), limit])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            names.push(Columns(row).parsed(0)?);
        }
        Ok(names)
    }

    /// How many worlds there are.
    pub(crate) fn count(&self) -> Result<usize, DbError> {
        self.0.prepare_cached(sql::WORLD_COUNT)?.query_row([], |row| Ok(Columns(row).number(0)))?
    }

    /// Lets a name point to another incarnation.
    pub(crate) fn replace(&self, name: &WorldName, incarnation: Incarnation) -> Result<(), DbError> {
        self.0.prepare_cached(sql::WORLD_REPLACE)?.execute(params![name.as_str(), incarnation.as_bytes()])?;
        Ok(())
    }

    /// Lets a name point nowhere.
    pub(crate) fn remove(&self, name: &WorldName) -> Result<(), DbError> {
        self.0.prepare_cached(sql::WORLD_DELETE)?.execute([name.as_str()])?;
        Ok(())
    }

    /// All incarnations.
    pub(crate) fn incarnations(&self) -> Result<Vec<Incarnation>, DbError> {
        let mut statement = self.0.prepare_cached(sql::WORLD_ALL)?;
        let mut rows = statement.query([])?;
        let mut worlds = Vec::new();
        while let Some(row) = rows.next()? {
            worlds.push(Incarnation::from_bytes(Columns(row).id(0)?));
        }
        Ok(worlds)
    }

    /// Lets a name that points nowhere point to `incarnation`.
    pub(crate) fn add(&self, name: &WorldName, incarnation: Incarnation) -> Result<(), DbError> {
        self.0.prepare_cached(sql::WORLD_INSERT)?.execute(params![name.as_str(), incarnation.as_bytes()])?;
        Ok(())
    }
}
