//! Log lines: text for people on a terminal, JSON elsewhere, on standard error.
//!
//! Standard output is the banner's and the subcommands', so that either can be read by a program.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat, LogLevel};

/// Writes this process's log lines as configured, from now on.
///
/// # Errors
/// When it has been called before.
pub(crate) fn start(log: &Log) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::registry().with(filter(log.level));
    let writer = fmt::layer().with_writer(io::stderr);
    if is_text(log.format, io::stderr().is_terminal()) {
        lines.with(writer.with_ansi(io::stderr().is_terminal()).with_target(false)).try_init()
    } else {
        lines.with(writer.json().flatten_event(true)).try_init()
    }
}

fn is_text(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    }
}

/// The level is that of our own crates; libraries only say what is wrong, unless everything is asked for.
fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if level == LogLevel::Trace { ours } else { ours.min(LevelFilter::WARN) };
    Targets::new().with_default(libraries).with_target("cloudm", ours)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn people_get_text_and_programs_get_json_unless_told_otherwise() {
        assert!(is_text(LogFormat::Auto, true) && !is_text(LogFormat::Auto, false));
        assert!(is_text(LogFormat::Text, false) && !is_text(LogFormat::Json, true));
    }

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let info = filter(LogLevel::Info);
        assert!(info.would_enable("cloudm_http_actix::log", &Level::INFO));
        assert!(!info.would_enable("cloudm_http_actix::log", &Level::DEBUG));
        assert!(info.would_enable("actix_server", &Level::WARN) && !info.would_enable("actix_server", &Level::INFO));
        assert!(!filter(LogLevel::Error).would_enable("actix_server", &Level::WARN));
        assert!(filter(LogLevel::Trace).would_enable("actix_server", &Level::TRACE));
    }
}
