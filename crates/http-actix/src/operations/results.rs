//! GET /operations/{id}/results

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_application::ResultView;
use cloudm_domain::{FleetOutcome, MachineId, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::refusal;
use crate::docs::{IdParam, PageParams, problems};
use crate::problem::Problem;
use crate::query::Query;
use crate::shape;
use crate::world::{World, id, next_link};

/// A page of results.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationResultList)]
pub(crate) struct ResultListBody<'a> {
    /// The results: those of machines that refused, then the others, each in the order of machine ids.
    items: Vec<ResultBody<'a>>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_page_token: Option<&'a str>,
}

/// What came of an operation for one machine.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationResult)]
pub(crate) struct ResultBody<'a> {
    /// The machine; where its creation was refused, the id that it would have had.
    #[serde(serialize_with = "shape::shown")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$", example = "70dbd880131237f27bdd20d5")]
    machine_id: MachineId,
    /// The name that the operation gave it, where it made it.
    #[serde(serialize_with = "shape::shown_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "web-1")]
    name: Option<&'a Name>,
    /// What came of it.
    outcome: OutcomeCode,
    /// Where the machine refused: the code of the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "protected")]
    code: Option<&'static str>,
}

/// What came of an operation for one machine: it did what was asked, or began to; there was nothing to change; or it refused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = OperationOutcome, example = "REJECTED")]
pub(crate) enum OutcomeCode {
    Done,
    Unchanged,
    Rejected,
}

impl<'a> From<&'a ResultView> for ResultBody<'a> {
    fn from(view: &'a ResultView) -> Self {
        let outcome = match view.outcome {
            FleetOutcome::Done => OutcomeCode::Done,
            FleetOutcome::Unchanged => OutcomeCode::Unchanged,
            _ => OutcomeCode::Rejected,
        };
        Self { machine_id: view.machine, name: view.name.as_ref(), outcome, code: refusal(view.outcome) }
    }
}

/// Lists the results of an operation
///
/// A result for each machine that it has decided so far, those that refused first.
#[utoipa::path(
    tag = "operations",
    operation_id = "listOperationResults",
    params(IdParam, PageParams),
    responses(
        (
            status = 200,
            description = "A page of results.",
            body = ResultListBody,
            headers(("Link" = String, description = "The next page, where there is one.")),
            example = json!(crate::examples::result_list())
        ),
        ListOperationResultsProblems,
    )
)]
#[get("/operations/{id}/results")]
pub(crate) async fn list_operation_results(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let (page_size, page_token) = (query.page_size()?, query.one("page_token")?);
    query.end()?;
    let list = world.cloud.operation_results.run(id(&request)?, page_size, page_token).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((header::LINK, next_link(&request, token)));
    }
    let items = list.items.iter().map(ResultBody::from).collect();
    Ok(response.json(ResultListBody { items, next_page_token: list.next_page_token.as_deref() }))
}

problems!(ListOperationResultsProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidPageSize, InvalidPageToken, NoSuchOperation,
    Throttled, StoreUnavailable,
);
