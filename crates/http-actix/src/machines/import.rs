//! POST /machines/import

use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use cloudm_application::machines::ImportMachines;
use cloudm_application::{Cloud, NewMachineRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::line::ImportLine;
use crate::HttpApi;
use crate::body::parse;
use crate::codes::Code;
use crate::docs::problems;
use crate::ndjson::{Line, Lines, check_media_type};
use crate::problem::Problem;
use crate::query::Query;
use crate::world::World;

/// Refused lines that are told.
const MAX_PROBLEMS: usize = 1_000;

/// The most characters of what is told of one: a client sees its own text again in it.
const MAX_TEXT: usize = 300;

const EXAMPLE: &str = r#"{"name":"machine1","cluster_name":"cluster1","tags":["tag1"]}
{"name":"machine2","cluster_name":"cluster1","machine_type":"large","start":false}
"#;

/// What came of an import.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ImportReport)]
pub(crate) struct ReportBody {
    /// Lines that were read, but for blank ones: the sum of the two that follow.
    #[schema(example = 3, minimum = 0)]
    lines: u64,
    /// Machines that were made.
    #[schema(example = 2, minimum = 0)]
    created: u64,
    /// Lines that were refused.
    #[schema(example = 1, minimum = 0)]
    refused: u64,
    /// Why, in the order of the lines: the first 1000.
    #[schema(max_items = 1000)]
    problems: Vec<RefusedBody>,
    /// True where more lines were refused than are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    truncated: Option<bool>,
}

/// A line of an import that was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedLine)]
pub(crate) struct RefusedBody {
    /// Its number, from 1, blank lines counted.
    #[schema(example = 3, minimum = 1)]
    line: u64,
    /// The code of the problem.
    #[schema(example = "name_taken")]
    code: String,
    /// The problem in a sentence.
    #[schema(example = "the name is taken")]
    detail: String,
    /// Where in the line: a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "/tags/0")]
    pointer: Option<String>,
}

/// Makes machines of lines
///
/// NDJSON, a machine a line, as POST /machines takes it, of any number; a line has at most 256 KiB. Lines of an export are taken
/// too: what a machine says of itself and an import makes anew is passed over, and where `start` is absent, a machine that was
/// not STOPPED is started. Each line is made or refused by itself.
///
/// It is made as it comes: where the client goes away, sends nothing for long or the store fails, what was made stays. An import
/// can be repeated: a machine that is there is refused as `name_taken`. So it takes no Idempotency-Key.
#[utoipa::path(
    tag = "machines",
    operation_id = "importMachines",
    request_body(
        content = String,
        content_type = "application/x-ndjson",
        description = "The machines.",
        example = json!(EXAMPLE)
    ),
    responses(
        (
            status = 200,
            description = "What came of it.",
            body = ReportBody,
            example = json!({"lines": 3, "created": 2, "refused": 1,
                "problems": [{"line": 3, "code": "name_taken", "detail": "the name is taken"}]})
        ),
        ImportMachinesProblems,
    )
)]
#[post("/machines/import")]
pub(crate) async fn import_machines(
    request: HttpRequest,
    world: World,
    api: web::Data<HttpApi>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    refuse_key(&request)?;
    check_media_type(&request)?;
    let place = api.transfers.place().map_err(Problem::closing)?;
    let (mut lines, mut import) = (Lines::of(payload), Import::default());
    while let Some(line) = lines.next().await? {
        import.take(line);
        if import.chunk.len() == ImportMachines::MAX {
            import.write(&world.cloud).await?;
        }
    }
    import.write(&world.cloud).await?;
    drop(place);
    Ok(HttpResponse::Ok().json(import.report))
}

problems!(ImportMachinesProblems:
    NoSuchWorld, UnknownParameter, InvalidHeader, RequestTimeout, UnsupportedMediaType, Throttled, Settling, Contention,
    StoreUnavailable, TooManyTransfers,
);

fn refuse_key(request: &HttpRequest) -> Result<(), Problem> {
    if !request.headers().contains_key("idempotency-key") {
        return Ok(());
    }
    let detail = "is not taken here: an import is repeated as it is, and what is there is refused as name_taken";
    Err(Problem::at(Code::InvalidHeader, "idempotency-key", detail).closing())
}

/// An import on its way.
#[derive(Default)]
struct Import {
    /// The lines that are to be made together, with their numbers.
    chunk: Vec<(u64, Result<NewMachineRequest, RefusedBody>)>,
    report: ReportBody,
}

impl Import {
    fn take(&mut self, line: Line) {
        self.chunk.push(match line {
            Line::Text(number, text) => {
                let read = parse::<ImportLine>(&text).map(ImportLine::into);
                (number, read.map_err(|problem| refused(number, &problem)))
            }
            Line::TooLong(number) => {
                let detail = format!("the line is larger than {} bytes", Line::MAX);
                (number, Err(refused(number, &Problem::new(Code::BodyTooLarge, detail))))
            }
        });
    }

    /// Makes the machines of the lines that have come.
    async fn write(&mut self, cloud: &Cloud) -> Result<(), Problem> {
        let (mut requests, mut outcomes) = (Vec::new(), Vec::new());
        for (number, read) in std::mem::take(&mut self.chunk) {
            outcomes.push((number, read.map(|request| requests.push(request)).err()));
        }
        let made = match requests.is_empty() {
            true => Vec::new(),
            false => cloud.import_machines.run(requests).await.map_err(|error| Problem::from(error).closing())?,
        };
        let mut made = made.into_iter();
        for (number, problem) in outcomes {
            let why_not = || made.next()?.err().map(|error| refused(number, &error.into()));
            self.report.count(problem.or_else(why_not));
        }
        Ok(())
    }
}

impl ReportBody {
    fn count(&mut self, problem: Option<RefusedBody>) {
        self.lines += 1;
        let Some(problem) = problem else {
            self.created += 1;
            return;
        };
        self.refused += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.truncated = Some(true);
        }
    }
}

fn refused(line: u64, problem: &Problem) -> RefusedBody {
    let bounded = |text: &str| text.chars().take(MAX_TEXT).collect();
    let (detail, pointer) = problem.told();
    let pointer = pointer.filter(|pointer| !pointer.is_empty()).map(bounded);
    RefusedBody { line, code: problem.text().to_owned(), detail: bounded(detail), pointer }
}
