//! The way to the database: what is asked of the driver, and what is made sure of before a server begins.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, SelectionCriteria, ServerAddress, ServerMonitoringMode, WriteConcern,
};

use crate::clients::Clients;
use crate::error::OpenError;

/// How long an operation waits for a server that takes it. With [`crate::world::PATIENCE`] it bounds how late a client
/// learns of an outage.
const SELECTION: Duration = Duration::from_secs(2);

/// How often a server that starts looks for its database, which may start together with it, or elect.
const LOOKS: u32 = 5;

/// How often each member is asked how it is.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Connections of a client to each member, unless the URI says.
const CONNECTIONS: u32 = 64;

/// Connects, and makes sure that transactions can be had.
pub(crate) async fn connect(uri: &str, database: &str) -> Result<Clients, OpenError> {
    let bad_uri = |error| OpenError::bad_uri(&error, uri);
    let options = options(uri).await.map_err(bad_uri)?;
    let client = Client::with_options(options.clone()).map_err(bad_uri)?;
    match await_primary(&client).await {
        Err(OpenError::Unreachable(_)) if is_standalone(&options).await => Err(OpenError::Standalone),
        Err(error) => Err(error),
        Ok(hello) if is_alone(&hello) => Err(OpenError::Standalone),
        Ok(_) => Ok(Clients::new(options, client.database(database))),
    }
}

async fn options(uri: &str) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::parse(uri).await?;
    options.app_name.get_or_insert_with(|| "cloudm".into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(SELECTION);
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    // A member that said that it cannot is asked anew at once, instead of waited for until it tells by itself.
    options.server_monitoring_mode.get_or_insert(ServerMonitoringMode::Poll);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    // Not for the URI to say: everything that a store promises rests on these.
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(WriteConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary));
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    Ok(options)
}

/// The write concern of what may be lost: one member, no journal.
pub(crate) fn unsafe_writes() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Nodes(1)).journal(false).build()
}

async fn hello(client: &Client) -> Result<Document, Error> {
    client.database("admin").run_command(doc! { "hello": 1 }).await
}

async fn await_primary(client: &Client) -> Result<Document, OpenError> {
    let mut looks = 1;
    loop {
        match hello(client).await.map_err(OpenError::from) {
            Err(OpenError::Unreachable(_)) if looks < LOOKS => looks += 1,
            answer => return answer,
        }
    }
}

/// Neither a member of a set nor a router.
fn is_alone(hello: &Document) -> bool {
    !hello.contains_key("setName") && hello.get_str("msg").ok() != Some("isdbgrid")
}

/// Whether a server answers that the URI calls a member of a set and that is none: the driver takes it for no server at
/// all.
async fn is_standalone(options: &ClientOptions) -> bool {
    let mut direct = options.clone();
    direct.repl_set_name = None;
    direct.direct_connection = Some(true);
    direct.hosts = options.hosts.iter().take(1).cloned().collect::<Vec<ServerAddress>>();
    let Ok(client) = Client::with_options(direct) else { return false };
    hello(&client).await.is_ok_and(|hello| is_alone(&hello))
}
