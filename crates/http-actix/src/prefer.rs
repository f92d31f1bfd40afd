//! What a client would prefer: `Prefer` (RFC 7240), of which `respond-async` and `wait` are known.
//!
//! A preference is no demand: one that is unknown, or not of its form, is passed over.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use cloudm_application::{MachineView, Patience, Reply};

use crate::world::World;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The most seconds that are waited.
const MOST_SECS: u64 = 600;

/// What a client would prefer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    respond_async: bool,
    /// How many seconds it would wait.
    wait: Option<u64>,
}

impl Prefer {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let values = request.headers().get_all(PREFER).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| split(value, ',')).fold(Self::default(), |prefer, one| prefer.and(one))
    }

    /// With one more preference. What stands twice counts where it stands first.
    fn and(self, text: &str) -> Self {
        // Of what could follow after a semicolon, nothing is known here.
        let one = split(text, ';').into_iter().next().unwrap_or_default();
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "respond-async" => Self { respond_async: true, ..self },
            "wait" => Self { wait: self.wait.or_else(|| seconds(value)), ..self },
            _ => self,
        }
    }

    /// How long who starts a fleet operation waits for its end.
    pub(crate) fn patience(&self) -> Patience {
        match self {
            // Both mean: wait so long, and then be told where it is (RFC 7240, 4.3).
            Self { wait: Some(secs), .. } => Patience::Until(Duration::from_secs(*secs)),
            Self { respond_async: true, .. } => Patience::None,
            Self { .. } => Patience::Small,
        }
    }

    /// Says what was applied: both preferences.
    pub(crate) fn applied(&self, response: HttpResponse) -> HttpResponse {
        say(response, self.respond_async, self.wait)
    }

    /// Waits for the machine of an answer that was made now, where the client would; says whether it did.
    pub(crate) async fn wait_for(&self, world: &World, reply: Reply<MachineView>) -> (Reply<MachineView>, bool) {
        match (self.wait, reply) {
            (Some(secs), Reply::Fresh(view)) => (Reply::Fresh(at_rest(world, secs, &view).await.unwrap_or(view)), true),
            (_, reply) => (reply, false),
        }
    }

    /// Says that it was waited.
    pub(crate) fn waited(&self, response: HttpResponse, waited: bool) -> HttpResponse {
        say(response, false, self.wait.filter(|_| waited))
    }

    /// What is left of a machine that was deleted, after as long as the client would wait; says whether it did.
    pub(crate) async fn wait_for_end(&self, world: &World, view: MachineView) -> (Option<MachineView>, bool) {
        let (id, left) = (view.machine.id, Some(view).filter(|view| view.machine.state.is_active()));
        let Some(secs) = self.wait else { return (left, false) };
        if left.is_none() {
            return (None, true);
        }
        let waited = world.cloud.wait_for_machine.at_rest(id, Duration::from_secs(secs)).await;
        (waited.unwrap_or(left), true)
    }
}

/// The machine at rest, or as it is after so long. What was asked is done, so that a wait that fails is none.
async fn at_rest(world: &World, secs: u64, view: &MachineView) -> Option<MachineView> {
    let waited = world.cloud.wait_for_machine.at_rest(view.machine.id, Duration::from_secs(secs)).await;
    waited.ok().flatten()
}

fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    // More digits than fit are more seconds than are waited.
    digits.then(|| text.parse().unwrap_or(MOST_SECS).min(MOST_SECS))
}

fn say(mut response: HttpResponse, respond_async: bool, wait: Option<u64>) -> HttpResponse {
    let wait = wait.map(|secs| format!("wait={secs}"));
    let applied: Vec<_> = respond_async.then(|| "respond-async".to_owned()).into_iter().chain(wait).collect();
    if let Some(value) = HeaderValue::from_str(&applied.join(", ")).ok().filter(|value| !value.is_empty()) {
        response.headers_mut().insert(APPLIED, value);
    }
    response
}

/// The parts of a list, whose separator may stand within quotes too.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|c| {
        let ends = c == separator && !quoted;
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '"' => quoted = !quoted,
            '\\' if quoted => escaped = true,
            _ => {}
        }
        ends
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn prefer(values: &[&str]) -> Prefer {
        let request =
            values.iter().fold(TestRequest::default(), |request, value| request.append_header((PREFER, *value)));
        Prefer::of(&request.to_http_request())
    }

    #[test]
    fn preferences_are_read_from_any_form_of_the_list() {
        let both = Prefer { respond_async: true, wait: Some(10) };
        for values in [
            &["respond-async, wait=10"][..],
            &["Wait = \"10\"", "RESPOND-ASYNC"],
            &["respond-async;foo=\"a, wait=5\" , wait=10; x"],
            &["foo=\"\\\", wait=5\", respond-async,,wait=10, wait=20"],
        ] {
            assert_eq!(prefer(values), both, "{values:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for value in ["", ",", "wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "handling=strict", "wait=\"", ";"] {
            assert_eq!(prefer(&[value]), Prefer::default(), "{value}");
        }
        assert_eq!(prefer(&["wait=soon, wait=3"]).wait, Some(3));
    }

    #[test]
    fn a_wait_has_a_bound() {
        for (text, secs) in [("0", 0), ("0600", 600), ("601", 600), ("99999999999999999999999", 600)] {
            assert_eq!(prefer(&[&format!("wait={text}")]).wait, Some(secs));
        }
    }

    #[test]
    fn what_was_applied_is_said() {
        let said = |prefer: Prefer| {
            let response = prefer.applied(HttpResponse::Ok().finish());
            response.headers().get(APPLIED).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(said(prefer(&["wait=7, respond-async"])).as_deref(), Some("respond-async, wait=7"));
        assert_eq!(said(prefer(&["other"])), None);
        assert_eq!(prefer(&["respond-async"]).patience(), Patience::None);
        assert_eq!(prefer(&["respond-async, wait=1"]).patience(), Patience::Until(Duration::from_secs(1)));
        assert_eq!(prefer(&[]).patience(), Patience::Small);
    }
}
