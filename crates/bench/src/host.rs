//! The machine that a run is made on.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine, as a reader of figures wants to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
}

impl Host {
    /// This one.
    pub(crate) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: cpu(&read("/proc/cpuinfo")),
            cores: cores(&read("/proc/cpuinfo")),
            memory_mib: memory_mib(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            rustc: said("rustc", &["--version"]),
        }
    }
}

fn cpu(info: &str) -> String {
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".into(), |(_, name)| name.trim().into())
}

/// All that the host has: this thread is moved to one of them.
fn cores(info: &str) -> usize {
    info.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

fn memory_mib(info: &str) -> u64 {
    field_kib(info, "MemTotal:") / 1024
}

/// A field of `/proc`'s, in KiB.
pub(crate) fn field_kib(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The first line that a program writes, or nothing.
pub(crate) fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_says_is_understood() {
        assert_eq!(cpu("processor : 0\nmodel name\t: A Fast One\n"), "A Fast One");
        assert_eq!(cpu(""), "unknown");
        assert_eq!(cores("processor\t: 0\nmodel name\t: A\n\nprocessor\t: 1\nmodel name\t: A\n"), 2);
        assert_eq!(memory_mib("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), 24_105);
        assert_eq!(field_kib("RssAnon:\t  2048 kB\n", "RssAnon:"), 2_048);
        assert_eq!(field_kib("RssAnon:\t  2048 kB\n", "RssFile:"), 0);
    }
}
