//! Whether the server lives, and whether it is ready.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::HttpApi;
use crate::codes::Code;
use crate::docs::problems;
use crate::problem::Problem;

/// How a part of the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, where the answer is 200.
    #[schema(example = "ok")]
    status: &'static str,
}

fn ok() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Says that the process lives
///
/// It answers as long as the server can answer at all. Restart the server where it does not.
#[utoipa::path(
    tag = "health",
    operation_id = "isAlive",
    responses((status = 200, description = "It lives.", body = Health, example = json!({"status": "ok"})), LivezProblems)
)]
#[get("/livez")]
pub(crate) async fn livez() -> HttpResponse {
    ok()
}

problems!(LivezProblems:);

/// Says whether the server takes requests
///
/// Ready means that the store answers and the server is not draining. Send no requests to one that is not.
#[utoipa::path(
    tag = "health",
    operation_id = "isReady",
    responses((status = 200, description = "It is ready.", body = Health, example = json!({"status": "ok"})), ReadyzProblems)
)]
#[get("/readyz")]
pub(crate) async fn readyz(api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    ready(&api).await
}

problems!(ReadyzProblems: NotReady);

/// Says whether the server is well
///
/// The same as `/readyz`, under the name that many tools ask for.
#[utoipa::path(
    tag = "health",
    operation_id = "isHealthy",
    responses((status = 200, description = "It is well.", body = Health, example = json!({"status": "ok"})), HealthzProblems)
)]
#[get("/healthz")]
pub(crate) async fn healthz(api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    ready(&api).await
}

problems!(HealthzProblems: NotReady);

async fn ready(api: &HttpApi) -> Result<HttpResponse, Problem> {
    let not_ready = |detail: &str| Problem::new(Code::NotReady, detail).retry_after(Some(1));
    if api.is_draining() {
        return Err(not_ready("the server is draining"));
    }
    match api.store.check().await {
        Ok(()) => Ok(ok()),
        Err(error) => {
            tracing::warn!(%error, "the store does not answer");
            Err(not_ready("the store does not answer"))
        }
    }
}
