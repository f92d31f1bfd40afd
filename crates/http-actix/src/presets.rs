//! GET /sim/v1/presets

use actix_web::{HttpRequest, HttpResponse, get};
use cloudm_domain::{Behaviour, Preset};
use serde::Serialize;
use utoipa::ToSchema;

use crate::behaviour::BehaviourBody;
use crate::docs::problems;
use crate::problem::Problem;
use crate::query::Query;

/// The presets.
#[derive(Serialize, ToSchema)]
#[schema(as = PresetList)]
pub(crate) struct PresetListBody {
    /// All of them.
    items: Vec<PresetBody>,
}

/// A behaviour to begin with.
#[derive(Serialize, ToSchema)]
#[schema(as = Preset)]
pub(crate) struct PresetBody {
    /// Its name.
    #[schema(value_type = PresetName)]
    name: &'static str,
    /// What it stands for.
    #[schema(value_type = BehaviourBody)]
    behaviour: Behaviour,
}

/// Names of presets: `instant`, where nothing takes time, `realistic`, with the times of a public cloud, and `flaky`, with failures
/// every few hours.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the domain's type")]
pub(crate) enum PresetName {
    Instant,
    Realistic,
    Flaky,
}

/// Lists the presets
///
/// Each is a behaviour to make a world with, or to change and give to one.
#[utoipa::path(
    tag = "behaviour",
    operation_id = "listPresets",
    responses(
        (
            status = 200,
            description = "The presets.",
            body = PresetListBody,
            example = json!({"items": [{"name": "realistic", "behaviour": example()}]})
        ),
        ListPresetsProblems,
    )
)]
#[get("/presets")]
pub(crate) async fn list_presets(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let items = Preset::ALL.map(|preset| PresetBody { name: preset.name(), behaviour: preset.behaviour() }).into();
    Ok(HttpResponse::Ok().json(PresetListBody { items }))
}

problems!(ListPresetsProblems: UnknownParameter);

/// A behaviour in examples.
pub(crate) fn example() -> serde_json::Value {
    serde_json::to_value(Preset::Realistic.behaviour()).unwrap_or_default()
}
