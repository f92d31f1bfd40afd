//! Virtual instants and spans, in whole milliseconds.

use std::fmt;
use std::str::FromStr;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// A text or number that is not an instant in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instant is RFC 3339, such as 2030-01-01T00:00:00.000Z, from 1970 and before 2106-02-07T06:28:16Z")]
pub struct InvalidInstant;

/// A text or number that is not a span in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is written 90s, 5m, 1h30m or PT90S: whole milliseconds, not negative, at most 136 years")]
pub struct InvalidSpan;

/// A moment of virtual time: whole milliseconds since 1970-01-01T00:00:00Z, before 2106-02-07T06:28:16Z.
///
/// The bound is that of an id, whose first four bytes are a second. It is read in the form of RFC 3339, in any offset and cut
/// to milliseconds, and written in UTC.
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
    /// The greatest instant, the end of time. A clock never reaches it, so what is due then never happens.
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
        let at = Offset::UTC.to_datetime(timestamp);
        // Digit by digit, for a list shows hundreds of instants, and any format that is read first takes several times as long.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[..4], at.year().unsigned_abs());
        for (place, number) in [(5, at.month()), (8, at.day()), (11, at.hour()), (14, at.minute()), (17, at.second())] {
            write_digits(&mut text[place..place + 2], number.unsigned_abs().into());
        }
        write_digits(&mut text[20..23], at.millisecond().unsigned_abs());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes the last digits of a number, as many as there is room for.
fn write_digits(text: &mut [u8], mut number: u16) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
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
        if !has_form_of_rfc_3339(text.as_bytes()) {
            return Err(InvalidInstant);
        }
        let timestamp: Timestamp = text.parse().map_err(|_| InvalidInstant)?;
        if timestamp < Timestamp::UNIX_EPOCH {
            return Err(InvalidInstant);
        }
        u64::try_from(timestamp.as_millisecond()).map_err(|_| InvalidInstant).and_then(Self::from_millis)
    }
}

/// Whether a text is `2030-01-01T00:00:00`, a fraction or none, and `Z` or an offset. The library below reads more: what
/// it means by the rest is not for the domain's users to find out.
fn has_form_of_rfc_3339(text: &[u8]) -> bool {
    let fits = |text: &[u8], form: &[u8]| {
        let fits =
            |(c, form): (&u8, &u8)| if *form == b'0' { c.is_ascii_digit() } else { c.eq_ignore_ascii_case(form) };
        text.len() == form.len() && text.iter().zip(form).all(fits)
    };
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let fraction = match rest {
        [b'.', digits @ ..] => 1 + digits.iter().take_while(|c| c.is_ascii_digit()).count(),
        _ => 0,
    };
    let offset = &rest[fraction..];
    fits(moment, b"0000-00-00T00:00:00")
        && fraction != 1
        && [&b"Z"[..], b"+00:00", b"-00:00"].iter().any(|form| fits(offset, form))
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
/// Read as `90s`, `5m`, `1h30m` or, in ISO 8601, `PT90S`, and written in the first form. What is finer than a
/// millisecond is refused, for it would be taken for nothing.
///
/// ```
/// use cloudm_domain::Span;
/// let span: Span = "PT5400.25S".parse()?;
/// assert_eq!(span.millis(), 5_400_250);
/// assert_eq!(span.to_string(), "1h30m250ms");
/// # Ok::<(), cloudm_domain::InvalidSpan>(())
/// ```
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

    /// Both spans together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::from_millis(self.millis().saturating_add(other.millis()))
    }

    /// Its milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (seconds, minutes) = (self.0 / 1000, self.0 / 60_000);
        let parts = [(minutes / 60, "h"), (minutes % 60, "m"), (seconds % 60, "s"), (self.0 % 1000, "ms")];
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
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
        let whole = duration.subsec_nanos() % 1_000_000 == 0;
        if whole && millis <= Self::MAX.0 { Ok(Self(millis)) } else { Err(InvalidSpan) }
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0..=Instant::MAX.millis(), shift in 0..43u32) {
            let instant = Instant::from_millis(millis >> shift).unwrap();
            prop_assert_eq!(instant.to_string().parse(), Ok(instant));
            let span = Span::from_millis(millis >> shift);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>(), like in "[-+0-9Tt:.Zhms ]{0,30}") {
            for text in [text, like] {
                let (_, _) = (text.parse::<Instant>(), text.parse::<Span>());
            }
        }
    }

    #[test]
    fn instants_are_written_in_utc_with_milliseconds() {
        let instant = Instant::from_millis(1_893_456_000_007).unwrap();
        assert_eq!(instant.to_string(), "2030-01-01T00:00:00.007Z");
        assert_eq!("2030-01-01T02:00:00.007+02:00".parse(), Ok(instant));
        assert_eq!(Instant::MAX.to_string(), "2106-02-07T06:28:15.999Z");
    }

    #[test]
    fn instants_out_of_bounds_are_refused() {
        for text in ["", "2030-01-01", "2106-02-07T06:28:16Z", "1969-12-31T23:59:59.9999Z", "2030-01-01T00:00:00"] {
            assert_eq!(text.parse::<Instant>(), Err(InvalidInstant), "{text}");
        }
        assert_eq!(Instant::MAX.plus(Span::from_millis(1)), Instant::MAX);
    }

    #[test]
    fn instants_are_read_in_the_form_of_rfc_3339_alone() {
        for text in [
            "20300101T000000Z",
            "2030-01-01 00:00:00Z",
            "2030-01-01T00Z",
            "2030-01-01T00:00:00+00",
            "2030-01-01T00:00:00,5Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00Z[Europe/Berlin]",
            "+002030-01-01T00:00:00Z",
            "２030-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Instant>(), Err(InvalidInstant), "{text}");
        }
        assert_eq!("2030-01-01t00:00:00.0009z".parse(), Ok(Instant::DEFAULT_START), "cut to milliseconds");
    }

    #[test]
    fn a_span_is_written_as_the_design_says() {
        let written = |millis| Span::from_millis(millis).to_string();
        assert_eq!(written(0), "0s");
        assert_eq!(written(5_400_250), "1h30m250ms");
        assert_eq!(written(60_000), "1m");
        assert_eq!(Span::MAX.to_string(), "1193046h28m15s999ms");
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
        for text in ["", "90", "-5s", "soon", "2000000h", "-0.0001s", "0.0004s", "1500us", "5m ago", "1d"] {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan), "{text}");
        }
    }
}
