//! The statements that write machines.

use rusqlite::Connection;

use crate::events::Appender;
use crate::held::Held;
use crate::rows::Rows;
use crate::sql;

/// What writes machines with their events, in hand for a whole group of writes: most are of one machine, and to look for its statements
/// takes as long as to run one.
pub(crate) struct Statements<'db> {
    pub(crate) rows: Rows<'db>,
    pub(crate) events: Appender<'db>,
    pub(crate) id_used: Held<'db>,
    pub(crate) former: Held<'db>,
    pub(crate) name_held: Held<'db>,
}

impl<'db> Statements<'db> {
    pub(crate) fn new(db: &'db Connection) -> Self {
        Self {
            rows: Rows::new(db),
            events: Appender::new(db),
            id_used: Held::new(db, sql::MACHINE_ID_USED),
            former: Held::new(db, sql::FORMER_EXISTS),
            name_held: Held::new(db, sql::MACHINE_NAME_HELD),
        }
    }
}
