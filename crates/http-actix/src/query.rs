//! Query parameters, strictly: what a route does not know is refused, for `clutser=x` must not act on everything.

use std::time::Duration;

use actix_web::HttpRequest;
use cloudm_application::machines::WaitForMachine;
use cloudm_domain::{Instant, NamePattern, Order, Selector, SelectorField, Span};

use crate::codes::Code;
use crate::problem::Problem;

/// The most parameters of a request.
const MAX: usize = 500;

/// The parameters of a request that no one has asked for yet.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let query = request.query_string();
        let pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>()?;
        if pairs.len() > MAX {
            return Err(Problem::new(Code::MalformedRequest, format!("the query has more than {MAX} parameters")));
        }
        Ok(Self(pairs))
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (taken, rest) = std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == name);
        self.0 = rest;
        taken.into_iter().map(|(_, value): (String, String)| value).collect()
    }

    /// The value of a parameter that may stand once.
    pub(crate) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(Problem::at(Code::DuplicateParameter, name, "may stand only once")),
        }
    }

    /// A parameter that is `true` or `false`, and false where it is absent.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.one(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::at(Code::InvalidParameter, name, "is true or false")),
        }
    }

    pub(crate) fn page_size(&mut self) -> Result<usize, Problem> {
        const DEFAULT: usize = 100;
        let Some(text) = self.one("page_size")? else { return Ok(DEFAULT) };
        let digits = (1..=4).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        match text.parse() {
            Ok(size @ 1..=1000) if digits => Ok(size),
            _ => Err(Problem::at(Code::InvalidPageSize, "page_size", "is a whole number from 1 to 1000")),
        }
    }

    /// How long to wait.
    pub(crate) fn timeout(&mut self) -> Result<Duration, Problem> {
        const DEFAULT: Duration = Duration::from_secs(30);
        let Some(text) = self.one("timeout")? else { return Ok(DEFAULT) };
        let span: Span = text.parse().map_err(|why| invalid("timeout", why))?;
        let timeout = Duration::from_millis(span.millis());
        if timeout > WaitForMachine::MAX_TIMEOUT {
            return Err(invalid("timeout", "is at most 10m"));
        }
        Ok(timeout)
    }

    /// An instant.
    pub(crate) fn instant(&mut self, name: &str) -> Result<Option<Instant>, Problem> {
        self.one(name)?.map(|text| text.parse()).transpose().map_err(|why| invalid(name, why))
    }

    /// A whole number of machines, up to a billion.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let digits = (1..=10).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        match text.parse() {
            Ok(number @ 0..=1_000_000_000) if digits => Ok(Some(number)),
            _ => Err(invalid(name, "is a whole number from 0 to 1000000000")),
        }
    }

    pub(crate) fn order(&mut self) -> Result<Order, Problem> {
        match self.one("order_by")? {
            None => Ok(Order::default()),
            Some(text) => text.parse().map_err(|why| invalid("order_by", why)),
        }
    }

    pub(crate) fn selector(&mut self) -> Result<Selector, Problem> {
        let mut selector = Selector::default();
        for field in SelectorField::ALL {
            let values = if field == SelectorField::Name {
                self.one(field.name())?.into_iter().collect()
            } else {
                self.all(field.name())
            };
            for text in values {
                selector.add(field, &text).map_err(|why| invalid(field.name(), why))?;
            }
        }
        Ok(selector)
    }

    /// The regions of a list of clusters.
    pub(crate) fn regions(&mut self) -> Result<Vec<cloudm_domain::Code>, Problem> {
        let mut selector = Selector::default();
        for text in self.all("region") {
            selector.add(SelectorField::Region, &text).map_err(|why| invalid("region", why))?;
        }
        Ok(selector.regions)
    }

    pub(crate) fn name_pattern(&mut self) -> Result<Option<NamePattern>, Problem> {
        self.one("name")?.map(|text| text.parse()).transpose().map_err(|why| invalid("name", why))
    }

    /// Refuses what is left.
    pub(crate) fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::at(Code::UnknownParameter, name, "is not a parameter of this route")),
        }
    }
}

pub(crate) fn invalid(name: &str, why: impl std::fmt::Display) -> Problem {
    Problem::at(Code::InvalidParameter, name, why.to_string())
}

fn pair(text: &str) -> Result<(String, String), Problem> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((decode(name)?, decode(value)?))
}

/// Decodes `+` and percent sequences, and accepts nothing that is not wholly of that form.
pub(crate) fn decode(text: &str) -> Result<String, Problem> {
    let malformed = || Problem::new(Code::MalformedRequest, "the query is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|c| char::from(c).to_digit(16)).ok_or_else(malformed);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).map_err(|_| malformed())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn query(text: &str) -> Result<Query, Problem> {
        Query::of(&TestRequest::with_uri(&format!("/?{text}")).to_http_request())
    }

    fn code<T>(result: Result<T, Problem>) -> Option<Code> {
        result.err().map(|problem| problem.code)
    }

    #[test]
    fn values_are_decoded_strictly() {
        assert_eq!(query("a=x%20y+z&b").unwrap().0, [("a".into(), "x y z".into()), ("b".into(), String::new())]);
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff", "%C3=1"] {
            assert_eq!(code(query(bad)), Some(Code::MalformedRequest), "{bad}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        let mut query = query("page_size=5&clutser=x").unwrap();
        assert_eq!(query.page_size().unwrap(), 5);
        assert_eq!(code(query.end()), Some(Code::UnknownParameter));
    }

    #[test]
    fn what_may_stand_once_may_not_stand_twice() {
        assert_eq!(code(query("a=1&a=1").unwrap().one("a")), Some(Code::DuplicateParameter));
        assert_eq!(query("a=1&a=2").unwrap().all("a"), ["1", "2"]);
    }

    #[test]
    fn sizes_and_flags_have_one_form() {
        for bad in ["0", "1001", "-1", "+5", "1e2", "", "00005", "ten"] {
            assert_eq!(
                code(query(&format!("page_size={}", bad.replace('+', "%2B"))).unwrap().page_size()),
                Some(Code::InvalidPageSize),
                "{bad}"
            );
        }
        assert!(query("f=true").unwrap().flag("f").unwrap());
        assert_eq!(code(query("f=1").unwrap().flag("f")), Some(Code::InvalidParameter));
    }

    #[test]
    fn a_selector_is_read_from_its_fields() {
        let selector = query("tag=a&tag=b&state=RUNNING,stopped&name=web*").unwrap().selector().unwrap();
        assert_eq!((selector.tags.len(), selector.states.len()), (2, 2));
        assert_eq!(code(query("state=UP").unwrap().selector()), Some(Code::InvalidParameter));
        assert_eq!(code(query("name=a&name=b").unwrap().selector()), Some(Code::DuplicateParameter));
    }
}
