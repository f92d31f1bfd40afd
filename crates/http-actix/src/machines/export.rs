//! GET /machines/export

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, web};
use cloudm_application::{Cloud, Error, MachineList, MachineListQuery};
use cloudm_domain::{Order, Selector};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::text::Text;
use crate::HttpApi;
use crate::connections::Flow;
use crate::docs::{SelectorParams, problems};
use crate::ndjson::{MEDIA_TYPE, is_too_slow};
use crate::problem::Problem;
use crate::query::Query;
use crate::stopwatch::Moment;
use crate::world::World;

/// Machines that are read at once, and so the most that are in memory.
const PAGE: usize = 1_000;

/// How often a page is asked for while the world is settling.
const MAX_TRIALS: usize = 100;

/// The pause between.
const PAUSE: Duration = Duration::from_millis(100);

/// Writes machines out
///
/// All that a selector selects, as NDJSON, a machine a line, in the order of their creation: each machine once that is there and
/// matches throughout. POST /machines/import reads it. It is read as it is taken; where it breaks off in the middle, so does
/// the connection, without the end that a whole answer has.
#[utoipa::path(
    tag = "machines",
    operation_id = "exportMachines",
    params(SelectorParams),
    responses(
        (
            status = 200,
            description = "The machines.",
            body = String,
            content_type = "application/x-ndjson",
            example = json!(format!("{}\n", crate::examples::machine()))
        ),
        ExportMachinesProblems,
    )
)]
#[get("/machines/export")]
pub(crate) async fn export_machines(
    request: HttpRequest,
    world: World,
    api: web::Data<HttpApi>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let selector = query.selector()?;
    query.end()?;
    let place = api.transfers.place()?;
    let first = page(&world.cloud, &selector, None).await?;
    let (given, flow) = (Moment::now(), Flow::begin(&request));
    let (cloud, taken, waited) = (world.cloud, 0, Duration::ZERO);
    let export = Export { cloud, selector, next: Next::Page(first), taken, given, waited, flow, _place: place };
    let lines = stream::try_unfold(export, |mut export| async move {
        let chunk = export.next().await?;
        Ok::<_, io::Error>(chunk.map(|chunk| (chunk, export)))
    });
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).streaming(Box::pin(lines)))
}

problems!(ExportMachinesProblems:
    NoSuchWorld, UnknownParameter, DuplicateParameter, InvalidParameter, Throttled, Settling, SettleLimit, StoreUnavailable,
    TooManyTransfers,
);

/// An export on its way to a client.
struct Export {
    cloud: Arc<Cloud>,
    selector: Selector,
    next: Next,
    /// Bytes that the client has taken.
    taken: u64,
    /// When it was last given something.
    given: Moment,
    /// How long it was waited for.
    waited: Duration,
    flow: Flow,
    _place: OwnedSemaphorePermit,
}

/// What comes next of an export.
enum Next {
    Page(MachineList),
    After(String),
    Nothing,
}

impl Export {
    /// The next lines, when the connection has room for them; none at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.flow.goes_on();
        self.waited += Moment::now().since(self.given);
        if is_too_slow(self.taken, self.waited) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut lines = Text::default();
        while lines.json.is_empty() {
            let list = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => return Ok(None),
                Next::Page(list) => list,
                Next::After(token) => self.page_after(token).await.map_err(io::Error::other)?,
            };
            for view in &list.items {
                lines.machine(view);
                lines.json.push('\n');
            }
            self.next = list.next_page_token.map_or(Next::Nothing, Next::After);
        }
        let lines = lines.json;
        self.taken += lines.len() as u64;
        self.given = Moment::now();
        Ok(Some(lines.into()))
    }

    /// A page in the middle. Where more is due than is settled for one request, the answer, which has begun, waits for it.
    async fn page_after(&self, token: String) -> Result<MachineList, Error> {
        for _ in 0..MAX_TRIALS {
            match page(&self.cloud, &self.selector, Some(token.clone())).await {
                Err(Error::Settling | Error::SettleLimit(_)) => sleep(PAUSE).await,
                other => return other,
            }
        }
        page(&self.cloud, &self.selector, Some(token)).await
    }
}

async fn page(cloud: &Cloud, selector: &Selector, page_token: Option<String>) -> Result<MachineList, Error> {
    let selector = selector.clone();
    let query = MachineListQuery { selector, order: Order::default(), page_size: PAGE, page_token };
    cloud.list_machines.run(query).await
}
