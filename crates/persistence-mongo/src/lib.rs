//! cloudm's MongoDB store: many servers over one database.
