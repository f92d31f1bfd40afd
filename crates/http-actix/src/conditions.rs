//! ETag, If-Match and If-None-Match (RFC 9110, 8.8.3 and 13.1).
//!
//! The tag of a machine is its version and, after a dot, its cluster's, whose name it shows. If-Match is about the
//! resource itself, so it compares the part before the dot; If-None-Match is about what is shown, so it compares all.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use cloudm_application::VersionMatch;

use crate::codes::Code;
use crate::problem::Problem;

/// The most tags in a header.
const MAX_TAGS: usize = 100;

/// What If-Match asks for.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<VersionMatch>, Problem> {
    let versions = match tags(request, &header::IF_MATCH)? {
        None => return Ok(None),
        Some(Tags::Any) => return Ok(Some(VersionMatch::Any)),
        Some(Tags::Listed(tags)) => tags,
    };
    // A weak tag, or one that no resource has, matches nothing.
    let strong = versions.iter().filter(|tag| !tag.weak);
    let version = |tag: &Tag| tag.text.split('.').next()?.parse().ok();
    Ok(Some(VersionMatch::Versions(strong.filter_map(version).collect())))
}

/// Whether the client has what has this tag already.
pub(crate) fn is_known(request: &HttpRequest, etag: &str) -> Result<bool, Problem> {
    Ok(match tags(request, &header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::Listed(tags)) => tags.iter().any(|tag| tag.text == etag.trim_matches('"')),
    })
}

enum Tags {
    Any,
    Listed(Vec<Tag>),
}

struct Tag {
    weak: bool,
    text: String,
}

fn tags(request: &HttpRequest, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let malformed = || Problem::at(Code::InvalidHeader, name.as_str(), "is * or a list of entity tags such as \"3\"");
    let mut listed = Vec::new();
    let mut any = false;
    for value in request.headers().get_all(name) {
        let text = value.to_str().map_err(|_| malformed())?;
        if text.trim() == "*" {
            any = true;
            continue;
        }
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            listed.push(tag(item).ok_or_else(malformed)?);
        }
        if listed.is_empty() || listed.len() > MAX_TAGS {
            return Err(malformed());
        }
    }
    match (any, listed.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (true, false) => Err(malformed()),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(Tags::Listed(listed))),
    }
}

/// Reads an entity tag. A bare version is read too: quotes get lost in shells.
fn tag(item: &str) -> Option<Tag> {
    let (weak, quoted) = item.strip_prefix("W/").map_or((false, item), |rest| (true, rest));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !weak && quoted.splitn(2, '.').all(number) {
        return Some(Tag { weak, text: quoted.into() });
    }
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let valid = |c: u8| c == 0x21 || (0x23..=0x7e).contains(&c);
    text.bytes().all(valid).then(|| Tag { weak, text: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn asked(value: &str) -> Result<Option<VersionMatch>, Problem> {
        if_match(&TestRequest::default().insert_header((header::IF_MATCH, value)).to_http_request())
    }

    #[test]
    fn if_match_is_about_the_resources_own_version() {
        for (value, versions) in
            [("\"3\"", vec![3]), ("\"3.7\", \"4\"", vec![3, 4]), ("W/\"3\"", vec![]), ("\"x\"", vec![]), ("3", vec![3])]
        {
            assert_eq!(asked(value).unwrap(), Some(VersionMatch::Versions(versions)), "{value}");
        }
        assert_eq!(asked("*").unwrap(), Some(VersionMatch::Any));
        for bad in ["x", "3.", ".", "1.2.3", "\"3", "", ",", "\"a\" \"b\"", "*, \"3\""] {
            assert_eq!(asked(bad).unwrap_err().code, Code::InvalidHeader, "{bad}");
        }
    }

    #[test]
    fn if_none_match_is_about_all_that_is_shown() {
        let known = |value: &str| {
            let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, value)).to_http_request();
            is_known(&request, "\"3.7\"").unwrap()
        };
        assert!(known("\"3.7\"") && known("W/\"3.7\"") && known("*") && known("\"1\", \"3.7\""));
        assert!(!known("\"3\"") && !known("\"3.8\""));
    }
}
