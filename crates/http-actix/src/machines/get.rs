//! GET /machines/{id}

use actix_web::guard::GuardContext;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get};

use super::{MachineBody, etag, shown};
use crate::conditions;
use crate::docs::{AtParam, IdParam, IfNoneMatchParam, problems};
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::world::{World, id};

/// Reads a machine
///
/// As it is now: what was due has happened. Reading changes nothing. The ETag is its version and its cluster's.
///
/// With `at`, as it was at an instant; the name and the region of its cluster are still those of now, or of its end.
#[utoipa::path(
    tag = "machines",
    operation_id = "getMachine",
    params(IdParam, AtParam, IfNoneMatchParam),
    responses(
        (
            status = 200,
            description = "The machine.",
            body = MachineBody,
            headers(("ETag" = String, description = "Its version, and its cluster's.")),
            example = json!(crate::examples::machine())
        ),
        (status = 304, description = "It still has the ETag that If-None-Match names."),
        GetMachineProblems,
    )
)]
#[get("/machines/{id}", guard = "is_no_word")]
pub(crate) async fn get_machine(request: HttpRequest, world: World) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let at = query.instant("at")?;
    query.end()?;
    let id = id(&request)?;
    let view = match at {
        None => world.cloud.get_machine.run(id).await?,
        Some(at) => world.cloud.past_machines.get(id, at).await?,
    };
    let etag = etag(&view);
    if conditions::is_known(&request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(shown(StatusCode::OK, &view, etag).response())
}

problems!(GetMachineProblems:
    NoSuchWorld, InvalidId, UnknownParameter, DuplicateParameter, InvalidParameter, InvalidHeader, NoSuchMachine, InTheFuture,
    BeforeHistory, TooMuchHistory, Throttled, SettleLimit, StoreUnavailable,
);

/// The words that stand where the id of a machine does.
const WORDS: [&str; 2] = ["export", "import"];
/// As long as the longest of them, were each of its letters percent-encoded.
const LONGEST: usize = 18;

/// Whether what stands where an id does is none of the words, so that this route may be tried before theirs.
fn is_no_word(context: &GuardContext<'_>) -> bool {
    let (_, last) = context.head().uri.path().rsplit_once('/').unwrap_or_default();
    last.len() > LONGEST || !query::decode(last).is_ok_and(|last| WORDS.contains(&last.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_word_is_no_id_however_it_is_encoded() {
        let is_no_word = |uri: &str| is_no_word(&TestRequest::with_uri(uri).to_srv_request().guard_ctx());
        for word in ["export", "import?limit=1", "%65xport", "%69%6D%70%6F%72%74"] {
            assert!(!is_no_word(&format!("/api/v1/machines/{word}")), "{word}");
        }
        for id in ["70dbd880131237f27bdd20d5", "x", "exports", "export%", "%65%78%70%6F%72%74s", ""] {
            assert!(is_no_word(&format!("/api/v1/machines/{id}")), "{id}");
        }
    }
}
