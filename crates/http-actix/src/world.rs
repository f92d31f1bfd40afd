//! The world that a request is about: one extractor, so that the same routes serve any world.
//!
//! A path under `/worlds/{world}/api/v1` is served as the path under `/api/v1`: the world's name is taken off before the routes are
//! looked for, so that there is one of each.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev, web};
use cloudm_application::{Cloud, Worlds};
use cloudm_domain::WorldName;
use futures_util::future::LocalBoxFuture;

use crate::HttpApi;
use crate::codes::Code;
use crate::problem::Problem;
use crate::strikes;

/// The name of the world that the path began with, as it stood there.
#[derive(Clone)]
struct Named(String);

/// Where the routes of a world are.
const UNDER: &str = "/api/v1";

/// Takes the world off the beginning of the path, where it stands there.
pub(crate) fn take_off(request: &mut ServiceRequest) {
    let Some((name, rest)) = request.path().strip_prefix("/worlds/").and_then(|path| path.split_once('/')) else {
        return;
    };
    let below = rest.strip_prefix(&UNDER[1..]);
    if name.is_empty() || !below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
        return;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let (name, rest) = (name.to_owned(), format!("/{rest}{query}"));
    let mut parts = request.uri().clone().into_parts();
    // It was a path before, and so it is one now.
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.head_mut().uri = uri.clone();
    request.match_info_mut().get_mut().update(&uri);
    request.extensions_mut().insert(Named(name));
}

/// The path of a request as its client knows it.
pub(crate) fn public_path(request: &HttpRequest) -> String {
    match request.extensions().get::<Named>() {
        Some(Named(name)) => format!("/worlds/{name}{}", request.path()),
        None => request.path().to_owned(),
    }
}

/// The path under which a client knows the routes of the world that it asked.
pub(crate) fn public_root(request: &HttpRequest) -> String {
    match request.extensions().get::<Named>() {
        Some(Named(name)) => format!("/worlds/{name}{UNDER}"),
        None => UNDER.to_owned(),
    }
}

/// Opens the world that a request of a simulated cloud is about, before anything else of the request is looked at, and lets its
/// faults strike the request.
pub(crate) async fn open(request: &ServiceRequest) -> Result<(), Problem> {
    // As the routes are matched, with what was percent-encoded without need decoded.
    let Some(path) = request.match_info().as_str().strip_prefix(UNDER).filter(|path| path.starts_with('/')) else {
        return Ok(());
    };
    let (asked, has_faults) = match find(request).await {
        Ok((asked, has_faults)) => (Ok(asked), has_faults),
        // A route says what is wrong, if there is one.
        Err(problem) => (Err(problem), false),
    };
    let faults_of = asked.as_ref().ok().filter(|_| has_faults).map(|asked| asked.cloud.clone());
    request.extensions_mut().insert(Opened { asked, tells_time: Cell::new(false) });
    match faults_of {
        Some(cloud) => strikes::strike(request, path, &cloud).await,
        None => Ok(()),
    }
}

/// The world, and whether it may have faults on requests.
async fn find(request: &ServiceRequest) -> Result<(Asked, bool), Problem> {
    let name = request.extensions().get::<Named>().cloned();
    let name = name.map_or_else(|| Ok(WorldName::default_world()), |Named(name)| named(&name))?;
    let (cloud, has_faults) = worlds(request.request())?.cloud_for_request(&name).await?;
    let reads = cloud.reads();
    Ok((Asked { cloud, reads }, has_faults))
}

/// The world that was opened for a request.
struct Opened {
    asked: Result<Asked, Problem>,
    /// Whether the answer says what the world's clock says.
    tells_time: Cell<bool>,
}

/// Lets the answer to a request say what its world's clock says.
pub(crate) fn tell_time(request: &HttpRequest) {
    if let Some(opened) = request.extensions().get::<Opened>() {
        opened.tells_time.set(true);
    }
}

/// The world whose time the answer to a request says, where it says one.
pub(crate) fn tells_time_of(request: &HttpRequest) -> Option<Asked> {
    let extensions = request.extensions();
    let opened = extensions.get::<Opened>().filter(|opened| opened.tells_time.get())?;
    opened.asked.as_ref().ok().cloned()
}

/// The world that a request of the simulated cloud is about.
pub(crate) struct World {
    pub(crate) cloud: Arc<Cloud>,
}

/// What an answer needs to say what the world's clock says.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) cloud: Arc<Cloud>,
    /// How often the clock had been read before.
    pub(crate) reads: u64,
}

impl FromRequest for World {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let extensions = request.extensions();
        let Some(opened) = extensions.get::<Opened>() else { return ready(Err(failed())) };
        opened.tells_time.set(true);
        ready(match &opened.asked {
            Ok(asked) => Ok(Self { cloud: asked.cloud.clone() }),
            Err(problem) => Err(problem.clone()),
        })
    }
}

/// The world that a route of the simulation names.
pub(crate) struct Simulated {
    pub(crate) cloud: Arc<Cloud>,
}

impl FromRequest for Simulated {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let name = crate::worlds::name(&request)?;
            Ok(Self { cloud: worlds(&request)?.cloud(&name).await? })
        })
    }
}

fn named(name: &str) -> Result<WorldName, Problem> {
    name.parse().map_err(|_| Problem::new(Code::NoSuchWorld, "there is no such world"))
}

fn worlds(request: &HttpRequest) -> Result<&Worlds, Problem> {
    let api = request.app_data::<web::Data<HttpApi>>();
    Ok(api.ok_or_else(failed)?.worlds())
}

fn failed() -> Problem {
    Problem::new(Code::Internal, "the server failed to carry out the request")
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
    format!("<{}?{}>; rel=\"next\"", public_path(request), query.join("&"))
}
