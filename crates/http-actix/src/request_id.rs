//! The id of a request, on its answer and on its line in the log.

use actix_web::http::header::{HeaderMap, HeaderName};
use cloudm_application::ports::Entropy;
use data_encoding::HEXLOWER;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Takes the client's id where it is safe to repeat, else makes one.
pub(crate) fn assign(headers: &HeaderMap, entropy: &dyn Entropy) -> RequestId {
    RequestId(given(headers).map_or_else(|| made(entropy), str::to_owned))
}

fn given(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let safe = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    ((1..=128).contains(&text.len()) && text.bytes().all(safe)).then_some(text)
}

fn made(entropy: &dyn Entropy) -> String {
    HEXLOWER.encode(&entropy.bytes())
}

/// The trace that the request belongs to, where it says so properly (W3C Trace Context).
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let set = |text: &str| text.bytes().any(|c| c != b'0');
    let whole = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    (whole && set(trace) && set(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_a_safe_id_is_taken() {
        let taken = |value: &str| {
            let request = TestRequest::default().insert_header((HEADER, value)).to_http_request();
            given(request.headers()).is_some()
        };
        assert!(taken("a.b_c-1"));
        assert!(!taken("") && !taken("a b") && !taken("a\"b") && !taken(&"x".repeat(129)));
    }

    #[test]
    fn only_a_whole_traceparent_is_honoured() {
        let trace = |value: &str| {
            let request = TestRequest::default().insert_header(("traceparent", value)).to_http_request();
            trace_id(request.headers()).map(str::to_owned)
        };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        assert_eq!(trace(&format!("ff-{id}-00f067aa0ba902b7-01")), None);
        assert_eq!(trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(trace("00-x-y-z"), None);
    }
}
