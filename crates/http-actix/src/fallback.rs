//! What has no handler: a path that does not exist, or a method that a path does not have.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;

use crate::HttpApi;
use crate::codes::Code;
use crate::problem::Problem;

/// The methods of each path, as the API's own description has them.
pub(crate) struct Methods(Vec<(Vec<String>, String)>);

impl Methods {
    pub(crate) fn of(openapi: &OpenApi) -> Self {
        let segments = |path: &str| path.split('/').map(str::to_owned).collect();
        let documented = openapi.paths.paths.iter().map(|(path, item)| (segments(path), allow(item)));
        let others = ["/", "/openapi.json"].into_iter().map(|path| (segments(path), "GET, HEAD".to_owned()));
        Self(documented.chain(others).collect())
    }

    /// The methods of the path, as Allow lists them; none where there is no such path.
    fn at(&self, path: &str) -> Option<&str> {
        if path == "/apidocs" || path.starts_with("/apidocs/") {
            return Some("GET, HEAD");
        }
        let asked: Vec<_> = path.split('/').collect();
        let fits = |pattern: &[String]| {
            let same =
                |(pattern, asked): (&String, &&str)| pattern == asked || pattern.starts_with('{') && !asked.is_empty();
            pattern.len() == asked.len() && pattern.iter().zip(&asked).all(same)
        };
        self.0.iter().find(|(pattern, _)| fits(pattern)).map(|(_, allow)| allow.as_str())
    }
}

fn allow(item: &PathItem) -> String {
    let methods = [
        ("GET, HEAD", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    methods.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn fallback(request: HttpRequest, api: web::Data<HttpApi>) -> Result<HttpResponse, Problem> {
    let method = request.method();
    // As the routes were matched, with what was percent-encoded without need decoded.
    match api.methods.at(request.match_info().as_str()) {
        Some(allow) if *method == Method::OPTIONS => {
            Ok(HttpResponse::NoContent().insert_header(("allow", format!("{allow}, OPTIONS"))).finish())
        }
        Some(allow) if !allow.split(", ").any(|one| one == method.as_str()) => {
            let detail = format!("the path does not have the method {method}");
            Err(Problem::new(Code::MethodNotAllowed, detail).allow(allow.to_owned()))
        }
        _ => Err(Problem::new(Code::NoSuchPath, "the API has no such path")),
    }
}
