//! What can go wrong: opening the store, and talking to MongoDB.

use cloudm_application::ports::StoreError;
use mongodb::error::{
    Error, ErrorKind, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR,
    UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::migrations::MigrationError;

/// Why the store was not opened. The texts say what to do; they never hold any part of the URI.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URI cannot be read.
    #[error("store.uri is not a MongoDB URI that can be used: {0}")]
    BadUri(String),
    /// Nobody answers where the URI points to.
    #[error(
        "no MongoDB that takes writes answers at store.uri ({0}): start it, or correct the hosts, the set's name and the TLS \
         options in store.uri"
    )]
    Unreachable(String),
    /// A server that is no member of a replica set.
    #[error(
        "the MongoDB at store.uri is a standalone server, which has no transactions: start mongod with --replSet rs0, run \
         rs.initiate() once, and add ?replicaSet=rs0 to store.uri; a set of one member will do"
    )]
    Standalone,
    /// The user or the password is wrong, or missing.
    #[error("MongoDB refuses the credentials ({0}): correct user, password and authSource in store.uri")]
    Credentials(String),
    /// The user may not do what a server needs to.
    #[error(
        "the user of store.uri has no rights on the database ({0}): grant it the role readWrite on the database that \
         store.database names"
    )]
    Rights(String),
    /// The database was migrated by others than this version's files.
    #[error(transparent)]
    Migration(MigrationError),
    /// Anything else.
    #[error("MongoDB failed: {0}")]
    Failed(String),
}

/// `AuthenticationFailed`.
const AUTHENTICATION: i32 = 18;
/// `Unauthorized`: without the right, or not authenticated at all.
const UNAUTHORIZED: i32 = 13;

impl OpenError {
    /// A URI that the driver cannot use. Its own text may repeat parts of it, so they are taken out.
    pub(crate) fn bad_uri(error: &Error, uri: &str) -> Self {
        Self::BadUri(without(uri, &text(error)))
    }
}

/// A text without the words that hold a part of the URI: a user, a password, a host, a path, the value of an option.
fn without(uri: &str, text: &str) -> String {
    let after_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (place, options) = after_scheme.split_once('?').unwrap_or((after_scheme, ""));
    let values = options.split('&').filter_map(|option| option.split_once('=').map(|(_, value)| value));
    let parts = place.split(['/', ':', '@', ',']).chain(values).filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.filter(|part| !["true", "false"].contains(part)).collect();
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let tells = parts.iter().any(|part| bare == *part || (part.len() > 2 && word.contains(*part)));
        if tells { "***".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match (&*error.kind, code(&error)) {
            (_, Some(UNAUTHORIZED)) if text(&error).contains("authentication") => Self::Credentials(text(&error)),
            (ErrorKind::Authentication { .. }, _) | (_, Some(AUTHENTICATION)) => Self::Credentials(text(&error)),
            (_, Some(UNAUTHORIZED)) => Self::Rights(text(&error)),
            (ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::DnsResolve { .. }, _) => {
                Self::Unreachable(text(&error))
            }
            _ => Self::Failed(text(&error)),
        }
    }
}

impl From<MigrationError> for OpenError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => error.into(),
            error => Self::Migration(error),
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The error in one line, without any part of the URI.
///
/// The driver's own text of a failed selection tells every host and what it last said; of those, what was said is kept.
pub(crate) fn text(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => selection(message),
        ErrorKind::Command(refused) => {
            // Some messages go on with the whole command.
            let said = refused.message.split(" { ").next().unwrap_or_default();
            format!("{said} ({}, code {})", refused.code_name, refused.code)
        }
        kind => kind.to_string(),
    }
}

fn selection(message: &str) -> String {
    let said = message.split("Error: ").skip(1).map(|rest| rest.split([',', '}', ']']).next().unwrap_or(rest).trim());
    let said = said.map(|said| said.trim_start_matches("Kind: "));
    let mut said: Vec<_> = said.filter(|said| !said.is_empty()).collect();
    said.dedup();
    if said.is_empty() { "no server of the set is a primary".into() } else { said.join("; ") }
}

/// The server's code, wherever in an answer it stands.
pub(crate) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::InsertMany(error) => {
            let first = error.write_errors.as_ref().and_then(|errors| errors.first()).map(|error| error.code);
            first.or_else(|| error.write_concern_error.as_ref().map(|error| error.code))
        }
        _ => None,
    }
}

/// Whether a document of this id, or with this unique value, exists.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    matches!(code(error), Some(11000 | 11001))
}

/// Asks for a document to be made or changed, once more where another server made it at the same moment.
pub(crate) async fn upserted<T, F>(ask: impl Fn() -> F) -> Result<T, Error>
where
    F: IntoFuture<Output = Result<T, Error>>,
{
    match ask().await {
        Err(error) if is_duplicate(&error) => ask().await,
        asked => asked,
    }
}

/// Whether a transaction that met this may be tried again from its beginning: it did not happen.
pub(crate) fn is_transient(error: &Error) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR) || is_duplicate(error)
}

/// Whether a commit that met this may be asked for again: it may have happened.
pub(crate) fn is_unknown(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

/// The codes with which a server says that it, or the set, is not able to right now: stepping down, shutting down,
/// starting, waiting too long, in conflict with others.
const PASSING: [i32; 18] = [6, 7, 50, 64, 74, 89, 91, 100, 112, 133, 134, 189, 202, 251, 262, 9001, 10107, 11600];
const RECOVERING: [i32; 5] = [10058, 11602, 13388, 13435, 13436];

/// Whether it is what a server answered, and not that it did not.
pub(crate) fn is_answer(error: &Error) -> bool {
    code(error).is_some()
}

/// Whether what met this may be tried again later, if it is not in effect.
pub(crate) fn passes(error: &Error) -> bool {
    let labels =
        [RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT];
    let kind = matches!(
        &*error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Shutdown
    );
    kind || labels.iter().any(|label| error.contains_label(label))
        || code(error).is_some_and(|code| PASSING.contains(&code) || RECOVERING.contains(&code))
}

/// The same for the application.
pub(crate) fn store_error(error: &Error) -> StoreError {
    match &*error.kind {
        ErrorKind::BsonDeserialization(why) => StoreError::Damaged(format!("a document: {why}")),
        _ if passes(error) => StoreError::Unavailable(text(error)),
        _ => StoreError::Failed(text(error)),
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

pub(crate) fn overdue() -> StoreError {
    StoreError::Unavailable("MongoDB did not answer in time".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_uri_is_told() {
        let uri = "mongodb://me:secret@db.example:27018,other/admin?tlsCAFile=/etc/ca.pem&tls=true&replicaSet=rs7";
        for (told, left) in [
            ("invalid server address db.example:27018: no port", "invalid server address *** no port"),
            ("cannot parse '/etc/ca.pem' (os error 2)", "cannot parse *** (os error 2)"),
            ("user me, password secret: no", "user *** password *** no"),
            ("the option tls is true, the set rs7", "the option tls is true, the set ***"),
        ] {
            assert_eq!(without(uri, told), left);
        }
    }

    #[test]
    fn of_a_failed_selection_what_each_host_said_is_told() {
        let message = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                       db.example:27018, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), \
                       labels: {} }, { Address: other:27017, Type: Unknown } ] }";
        assert_eq!(selection(message), "I/O error: Connection refused (os error 111)");
        assert_eq!(selection("Server selection timeout. Topology: { }"), "no server of the set is a primary");
    }
}
