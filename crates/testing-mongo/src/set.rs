//! What makes a started server one that can be used.

use std::thread;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::ClientOptions;
use tokio::time::sleep;

use crate::running::PASSWORD;

/// How often it is looked whether the server answers, and then whether it is the primary.
const LOOKS: usize = 300;

const LOOK: Duration = Duration::from_millis(50);

/// Runs to its end what needs a runtime, also where the caller is on one.
pub(crate) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let working = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(work))
    });
    working.join().ok().flatten()
}

async fn direct(port: u16) -> Result<Client, Error> {
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=500");
    Client::with_options(ClientOptions::parse(uri).await?)
}

async fn hello(client: &Client) -> Result<Document, Error> {
    client.database("admin").run_command(doc! { "hello": 1 }).await
}

/// Waits until the server answers and takes writes; makes it a replica set of one where it is to be a member of one.
pub(crate) async fn ready(port: u16, member: bool) -> Result<(), Error> {
    let client = direct(port).await?;
    let mut last = Ok(());
    for _ in 0..LOOKS {
        match hello(&client).await {
            Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => return Ok(()),
            Ok(hello) if member && !hello.contains_key("setName") => {
                let one = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
                let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": [one] } };
                last = client.database("admin").run_command(initiate).await.map(drop);
            }
            answer => last = answer.map(drop),
        }
        sleep(LOOK).await;
    }
    last
}

/// Adds a user with a role on a database.
pub(crate) fn add_user(uri: String, name: &str, (role, database): (&str, &str)) -> Result<(), String> {
    let role = doc! { "role": role, "db": database };
    let add = doc! { "createUser": name, "pwd": PASSWORD, "roles": [role] };
    let added = wait(async move { Client::with_uri_str(uri).await?.database("admin").run_command(add).await });
    match added {
        Some(answer) => answer.map(drop).map_err(|error: Error| error.to_string()),
        None => Err("no runtime to ask it with".into()),
    }
}

/// Drops a database, where its server answers.
pub fn drop_database(uri: &str, name: &str) {
    let (uri, name) = (uri.to_owned(), name.to_owned());
    wait(async move {
        let client = Client::with_uri_str(uri).await?;
        client.database(&name).drop().await
    });
}

/// Lets the server at this URI refuse what no index leads to, so that a test sees it, and end what a killed client left open
/// after two seconds instead of a minute.
///
/// # Errors
/// What the server says.
pub fn prepare(uri: &str) -> Result<(), String> {
    let uri = uri.to_owned();
    let prepared = wait(async move {
        let client = Client::with_uri_str(uri).await?;
        client
            .database("admin")
            .run_command(doc! { "setParameter": 1, "notablescan": true, "transactionLifetimeLimitSeconds": 2 })
            .await
    });
    match prepared {
        Some(answer) => answer.map(drop).map_err(|error: Error| error.to_string()),
        None => Err("no runtime to ask it with".into()),
    }
}
