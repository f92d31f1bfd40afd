//! GET and PUT /sim/v1/worlds/{world}/snapshot

use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::rt::task::spawn_blocking;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse, get, put, web};
use futures_util::{StreamExt, stream};
use tempfile::SpooledTempFile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{WorldBody, made, name};
use crate::HttpApi;
use crate::codes::Code;
use crate::connections::Flow;
use crate::docs::{WorldParam, problems};
use crate::ndjson::{MEDIA_TYPE, PATIENCE, check_media_type, is_too_slow, late};
use crate::problem::Problem;
use crate::query::Query;
use crate::stopwatch::Moment;

/// The most snapshots on their way.
const MAX_SNAPSHOTS: usize = 4;

/// The most bytes of one.
const MAX_BYTES: u64 = 4 << 30;

/// The bytes of one that are kept in memory; the rest is in a file without a name.
const IN_MEMORY: usize = 4 << 20;

/// The bytes that are read and written at once.
const CHUNK: usize = 256 << 10;

/// The lines of a world with a cluster in it; the behaviour in its record is left out.
const EXAMPLE: &str = r#"{"snapshot":{"version":1,"name":"test-1","seed":42,"start":1893456000000,"preset":"instant","now":1893456000000,"rate":0.0,"behaviour":{},"retention":{"first":"1h","later":[]},"origin":{"start":1893456000000,"rate":0.0,"retention":"1h"}}}
{"cluster":{"id":"70dbd8809c404bf3976680b0","name":"cluster1","region_code":"A","version":1,"created_at":1893456000000,"updated_at":1893456000000}}
{"end":{"lines":2,"sha256":"6fec60f9a7dc5dd77294174bf37c4281ee71f32f0c1661f35a54b2fd85ad7093"}}
"#;

/// The places for snapshots.
#[derive(Clone)]
pub(crate) struct Snapshots(Arc<Semaphore>);

impl Default for Snapshots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SNAPSHOTS)))
    }
}

impl Snapshots {
    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full =
            |_| Problem::new(Code::TooManySnapshots, "there is no room for another snapshot").retry_after(Some(2));
        self.0.clone().try_acquire_owned().map_err(full)
    }
}

/// Writes a world out
///
/// All that it is at one moment, as NDJSON, a JSON object a line: its record, clusters, deleted clusters, machines and events; the
/// last line has their number and SHA-256. Every store reads it, and a world that is made of it has the same digest and future.
/// Kept answers are not in it.
#[utoipa::path(
    tag = "worlds",
    operation_id = "getSnapshot",
    params(WorldParam),
    responses(
        (
            status = 200,
            description = "The snapshot.",
            body = String,
            content_type = "application/x-ndjson",
            example = json!(EXAMPLE)
        ),
        GetSnapshotProblems,
    )
)]
#[get("/worlds/{world}/snapshot")]
pub(crate) async fn get_snapshot(request: HttpRequest, api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let place = api.snapshots.place()?;
    let spool = BufWriter::with_capacity(CHUNK, SpooledTempFile::new(IN_MEMORY));
    let written = api.worlds().export.run(&name(&request)?, spool).await?;
    let mut spool = written.into_inner().map_err(|error| failed(error.error()))?;
    let length = spool.stream_position().map_err(|error| failed(&error))?;
    spool.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
    let download = Download { spool, taken: 0, began: Moment::now(), flow: Flow::begin(&request), _place: place };
    let body = stream::try_unfold(download, |download| async move {
        download.flow.goes_on();
        if is_too_slow(download.taken, Moment::now().since(download.began)) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = spawn_blocking(move || download.next()).await.map_err(io::Error::other)?;
        read.map(|(chunk, download)| (!chunk.is_empty()).then_some((chunk, download)))
    });
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).body(SizedStream::new(length, body.boxed_local())))
}

problems!(GetSnapshotProblems: NoSuchWorld, UnknownParameter, Settling, TooManySnapshots, StoreUnavailable,);

/// A snapshot on its way to a client.
struct Download {
    spool: SpooledTempFile,
    taken: u64,
    began: Moment,
    flow: Flow,
    _place: OwnedSemaphorePermit,
}

impl Download {
    fn next(mut self) -> io::Result<(Bytes, Self)> {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut self.spool).take(CHUNK as u64).read_to_end(&mut chunk)?;
        self.taken += chunk.len() as u64;
        Ok((chunk.into(), self))
    }
}

/// Reads a world in
///
/// Puts the world of a snapshot in the place of the one of this name, or makes it where there is none; the name in the snapshot is
/// of no account. A snapshot that is not whole, or was altered, is refused, and the world stays as it was. A request under way
/// meanwhile sees the old world or the new one.
#[utoipa::path(
    tag = "worlds",
    operation_id = "putSnapshot",
    params(WorldParam),
    request_body(
        content = String,
        content_type = "application/x-ndjson",
        description = "The snapshot: at most 4 GiB.",
        example = json!(EXAMPLE)
    ),
    responses(
        (
            status = 200,
            description = "The world, which was there before.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version.")),
            example = json!(super::example())
        ),
        (
            status = 201,
            description = "The world, which is new.",
            body = WorldBody,
            headers(("ETag" = String, description = "Its version."), ("Location" = String, description = "Where it is.")),
            example = json!(super::example())
        ),
        PutSnapshotProblems,
    )
)]
#[put("/worlds/{world}/snapshot")]
pub(crate) async fn put_snapshot(
    request: HttpRequest,
    api: web::Data<HttpApi>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let name = name(&request)?;
    check_media_type(&request)?;
    let place = api.snapshots.place().map_err(Problem::closing)?;
    let spool = receive(payload).await?;
    let (view, is_new) = api.worlds().import.run(&name, BufReader::with_capacity(CHUNK, spool)).await?;
    drop(place);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(made(&(view, false), status))
}

problems!(PutSnapshotProblems:
    MalformedRequest, UnknownParameter, NoSuchWorld, RequestTimeout, TooManyWorlds, BodyTooLarge, UnsupportedMediaType,
    InvalidSnapshot, Contention, TooManySnapshots, StoreUnavailable,
);

/// Takes the whole body, so that the world waits for no client.
async fn receive(mut payload: Payload) -> Result<SpooledTempFile, Problem> {
    let (mut spool, mut waiting, mut length) = (SpooledTempFile::new(IN_MEMORY), BytesMut::new(), 0);
    let began = Moment::now();
    while let Some(chunk) = timeout(PATIENCE, payload.next()).await.map_err(|_| late())? {
        let chunk = chunk.map_err(|error| Problem::new(Code::MalformedRequest, error.to_string()).closing())?;
        length += chunk.len() as u64;
        if length > MAX_BYTES {
            let detail = format!("a snapshot has at most {MAX_BYTES} bytes");
            return Err(Problem::new(Code::BodyTooLarge, detail).closing());
        }
        if is_too_slow(length, Moment::now().since(began)) {
            return Err(late());
        }
        waiting.extend_from_slice(&chunk);
        if waiting.len() >= CHUNK {
            spool = put(spool, waiting.split().freeze()).await?;
        }
    }
    let mut spool = put(spool, waiting.freeze()).await?;
    spool.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
    Ok(spool)
}

async fn put(mut spool: SpooledTempFile, bytes: Bytes) -> Result<SpooledTempFile, Problem> {
    let write = move || spool.write_all(&bytes).map(|()| spool);
    spawn_blocking(write).await.map_err(io::Error::other).and_then(|written| written).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Problem {
    tracing::warn!(%error, "a snapshot has no room in the directory of temporary files");
    Problem::new(Code::StoreUnavailable, "the server has no room for the snapshot").closing()
}
