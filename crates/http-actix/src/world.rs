//! The world that a request is about: one extractor, so that the same routes serve any world.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest, dev, web};
use cloudm_application::Cloud;

use crate::HttpApi;
use crate::codes::Code;
use crate::problem::Problem;

/// The world that a request is about.
pub(crate) struct World {
    pub(crate) cloud: Arc<Cloud>,
}

impl FromRequest for World {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let api = request.app_data::<web::Data<HttpApi>>();
        let missing = || Problem::new(Code::Internal, "the server failed to carry out the request");
        ready(api.map(|api| Self { cloud: api.cloud.clone() }).ok_or_else(missing))
    }
}

/// The id in a path: malformed is 400, and only an unknown one is 404.
pub(crate) fn id<T: std::str::FromStr<Err: ToString>>(request: &HttpRequest) -> Result<T, Problem> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|why: T::Err| Problem::at(Code::InvalidId, "id", why.to_string()))
}

/// The address of the next page of a list.
pub(crate) fn next_link(request: &HttpRequest, token: &str) -> String {
    let kept = request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page_token="));
    let query: Vec<_> = kept.chain([format!("page_token={token}").as_str()]).map(str::to_owned).collect();
    format!("<{}?{}>; rel=\"next\"", request.path(), query.join("&"))
}
