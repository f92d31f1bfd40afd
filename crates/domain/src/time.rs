//! Virtual instants and spans, in whole milliseconds.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// A text or number that is not an instant in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instant is RFC 3339, such as 2030-01-01T00:00:00.000Z, from 1970 and before 2106-02-07T06:28:16Z")]
pub struct InvalidInstant;

/// A text or number that is not a span in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is written 90s, 5m, 1h30m or PT90S, is not negative and is at most 136 years")]
pub struct InvalidSpan;

/// A moment of virtual time: whole milliseconds since 1970-01-01T00:00:00Z, before 2106-02-07T06:28:16Z.
///
/// The bound is that of an id, whose first four bytes are a second.
///
/// ```
/// use cloudm_domain::{Instant, Span};
/// let start: Instant = "2030-01-01T00:00:00Z".parse()?;
/// assert_eq!(start, Instant::DEFAULT_START);
/// assert_eq!(start.plus("1h30m".parse::<Span>()?).to_string(), "2030-01-01T01:30:00.000Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u64", into = "u64"))]
pub struct Instant(u64);

impl Instant {
    /// The least instant.
    pub const MIN: Self = Self(0);
    /// The greatest instant. A clock never passes it, so what is due then never happens.
    pub const MAX: Self = Self((u32::MAX as u64) * 1000 + 999);
    /// Where a world begins unless told otherwise: 2030-01-01T00:00:00Z.
    pub const DEFAULT_START: Self = Self(1_893_456_000_000);

    /// The instant this many milliseconds after 1970.
    ///
    /// # Errors
    /// When it is after [`Instant::MAX`].
    pub const fn from_millis(millis: u64) -> Result<Self, InvalidInstant> {
        if millis > Self::MAX.0 { Err(InvalidInstant) } else { Ok(Self(millis)) }
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub fn second(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }

    /// This instant and a span; [`Instant::MAX`] where that is later.
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0).min(Self::MAX.0))
    }

    /// The time from `earlier` to this instant; nothing where that is later.
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let timestamp = Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        write!(f, "{timestamp:.3}")
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instant {
    type Err = InvalidInstant;

    fn from_str(text: &str) -> Result<Self, InvalidInstant> {
        let timestamp: Timestamp = text.parse().map_err(|_| InvalidInstant)?;
        u64::try_from(timestamp.as_millisecond()).map_err(|_| InvalidInstant).and_then(Self::from_millis)
    }
}

impl TryFrom<u64> for Instant {
    type Error = InvalidInstant;

    fn try_from(millis: u64) -> Result<Self, InvalidInstant> {
        Self::from_millis(millis)
    }
}

impl From<Instant> for u64 {
    fn from(instant: Instant) -> u64 {
        instant.0
    }
}

/// A length of virtual time: whole milliseconds, at most the whole of it (136 years).
///
/// Written `90s`, `5m`, `1h30m` or, as ISO 8601, `PT90S`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Span(u64);

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// The longest span.
    pub const MAX: Self = Self(Instant::MAX.0);

    /// A span of this many milliseconds, or [`Span::MAX`] where that is shorter.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// A span of this many seconds, or [`Span::MAX`] where that is shorter.
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Its milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        write!(f, "{:#}", SignedDuration::from_millis(millis))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let duration: SignedDuration = text.parse().map_err(|_| InvalidSpan)?;
        let millis = u64::try_from(duration.as_millis()).map_err(|_| InvalidSpan)?;
        if millis > Self::MAX.0 { Err(InvalidSpan) } else { Ok(Self(millis)) }
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Self, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc_with_milliseconds() {
        let instant = Instant::from_millis(1_893_456_000_007).unwrap();
        assert_eq!(instant.to_string(), "2030-01-01T00:00:00.007Z");
        assert_eq!("2030-01-01T02:00:00.007+02:00".parse(), Ok(instant));
        assert_eq!(Instant::MAX.to_string(), "2106-02-07T06:28:15.999Z");
    }

    #[test]
    fn instants_out_of_bounds_are_refused() {
        for text in ["", "2030-01-01", "2106-02-07T06:28:16Z", "1969-12-31T23:59:59Z", "2030-01-01T00:00:00"] {
            assert_eq!(text.parse::<Instant>(), Err(InvalidInstant), "{text}");
        }
        assert_eq!(Instant::MAX.plus(Span::from_millis(1)), Instant::MAX);
    }

    #[test]
    fn spans_are_read_in_both_forms_and_written_back() {
        for (text, millis) in
            [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("PT90S", 90_000), ("250ms", 250)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.millis(), millis, "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for text in ["", "90", "-5s", "soon", "2000000h"] {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan), "{text}");
        }
    }
}
