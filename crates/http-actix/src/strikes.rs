//! Faults that strike requests: a request is refused for now, or its answer is late or lost.

use std::io;
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::rt::{task, time};
use actix_web::web::Bytes;
use cloudm_application::Cloud;
use cloudm_domain::{Effect, Span};
use futures_util::stream;

use crate::codes::Code;
use crate::problem::Problem;
use crate::world;

/// What a fault does to the answer of a request, once that is made.
#[derive(Debug, Clone, Copy)]
enum Struck {
    /// It is lost.
    Lost,
    /// It is so much later.
    Late(Duration),
}

/// Lets the faults of a world strike a request with this path in its simulated cloud, which goes on unless it is throttled.
pub(crate) async fn strike(request: &ServiceRequest, path: &str, cloud: &Cloud) -> Result<(), Problem> {
    let struck = match cloud.strike_request.run(request.method().as_str(), path).await? {
        Some(Effect::Throttle(after)) => {
            world::tell_time(request.request());
            return Err(throttled(after));
        }
        Some(Effect::LoseReply) => Struck::Lost,
        Some(Effect::SlowReply(by)) => Struck::Late(Duration::from_millis(by.millis())),
        // The others are not for requests.
        _ => return Ok(()),
    };
    request.extensions_mut().insert(struck);
    Ok(())
}

fn throttled(after: Span) -> Problem {
    let secs = after.millis().div_ceil(1000).max(1);
    let problem = Problem::new(Code::Throttled, "a fault of the world refuses the request for now");
    problem.retry_after(Some(u32::try_from(secs).unwrap_or(u32::MAX)))
}

/// Lets an answer be late, or lost, where its request was struck.
pub(crate) async fn strike_answer(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let struck = response.request().extensions().get::<Struck>().copied();
    match struck {
        None => response,
        Some(Struck::Late(by)) => {
            time::sleep(by).await;
            response
        }
        Some(Struck::Lost) => {
            // The answers before it on the connection are sent meanwhile.
            task::yield_now().await;
            response.map_body(|_, _| broken())
        }
    }
}

/// A body that fails before its first byte: the connection ends with it, and nothing of the head was sent by then.
fn broken() -> BoxBody {
    let error = io::Error::new(io::ErrorKind::ConnectionAborted, "a fault of the world loses the answer");
    BodyStream::new(stream::iter([Err::<Bytes, _>(error)])).boxed()
}
