//! A run, in tables.

use crate::bench::store_name;
use crate::goals::{self, Goal};
use crate::sample::{Latency, Run, Series, Store, What, Who};
use crate::stats::Range;
use crate::table::{number, table};

/// All tables of a run.
pub(crate) fn show(run: &Run) -> String {
    let parts = sections(run).into_iter().map(|(title, table)| format!("{title}\n\n{table}"));
    parts.collect::<Vec<_>>().join("\n")
}

/// Those of which something was measured, with their titles.
pub(crate) fn sections(run: &Run) -> Vec<(String, String)> {
    let hot = [Store::Embedded, Store::Mongodb]
        .map(|store| (format!("Hot paths over HTTP, {}", store_name(store)), hot_paths(run, store)));
    let rest = [
        ("Fleets".to_owned(), others(run, is_fleet)),
        ("Beside moto".to_owned(), others(run, is_beside_moto)),
        ("The domain alone".to_owned(), others(run, |what| what == What::Settle)),
        ("Goals".to_owned(), goals_of(run)),
    ];
    hot.into_iter().chain(rest).filter_map(|(title, table)| Some((title, table?))).collect()
}

/// A median with its range.
pub(crate) fn ranged(range: Range) -> String {
    let Range { median, min, max } = range;
    format!("{} ({}–{})", number(median), number(min), number(max))
}

fn of(values: impl IntoIterator<Item = (u32, f64)>) -> String {
    Range::of(values.into_iter().map(|(_, value)| value)).map_or_else(String::new, ranged)
}

/// What a series is called.
pub(crate) fn name(what: What) -> &'static str {
    match what {
        What::Get => "get",
        What::PageFirst => "page of 100, first",
        What::PageMiddle => "page of 100, middle",
        What::PageLast => "page of 100, last",
        What::Create => "create",
        What::Action => "action",
        What::Patch => "PATCH tags",
        What::FleetCreate => "create all, machines/s",
        What::FleetStop => "stop all, machines/s",
        What::FleetStart => "start all, machines/s",
        What::FleetTerminate => "terminate all, machines/s",
        What::ReadIdle => "reads while idle, number of them",
        What::ReadBusy => "reads during the work, number of them",
        What::MemoryIdle => "memory idle, bytes",
        What::MemoryFull => "memory with all machines, bytes",
        What::MemoryPeak => "memory at most during the work, bytes",
        What::Disk => "on disk, bytes a machine",
        What::Reopen => "reopen, s",
        What::ReopenKilled => "reopen after SIGKILL, s",
        What::MakeAll => "create, machines/s",
        What::ListAll => "list all, lists/s",
        What::ReadOne => "get by id, /s",
        What::StopEach => "stop, /s",
        What::Settle => "transitions/s",
    }
}

fn who_name(who: Who) -> &'static str {
    match who {
        Who::Cloudm => "cloudm",
        Who::Bare => "bare handler",
        Who::Raw => "raw loop",
        Who::Moto => "moto",
    }
}

fn is_hot(what: What) -> bool {
    what <= What::Patch
}

fn is_beside_moto(what: What) -> bool {
    matches!(what, What::MakeAll | What::ListAll | What::ReadOne | What::StopEach)
}

fn is_fleet(what: What) -> bool {
    !is_hot(what) && !is_beside_moto(what) && what != What::Settle
}

fn hot_paths(run: &Run, store: Store) -> Option<String> {
    let belongs = |series: &Series| {
        is_hot(series.what) && (series.store == store || (store == Store::Embedded && series.who == Who::Bare))
    };
    rows(run, belongs).map(|rows| table(&HEAD, &rows))
}

fn others(run: &Run, is: impl Fn(What) -> bool) -> Option<String> {
    rows(run, |series| is(series.what)).map(|rows| table(&HEAD, &rows))
}

const HEAD: [&str; 8] = ["path", "who", "machines", "clients", "a second (range)", "p50 µs", "p99 µs", "p99.9 µs"];

fn rows(run: &Run, belongs: impl Fn(&Series) -> bool) -> Option<Vec<Vec<String>>> {
    let rows: Vec<_> = run.series().into_iter().filter(belongs).map(|series| row(run, series)).collect();
    (!rows.is_empty()).then_some(rows)
}

fn row(run: &Run, series: Series) -> Vec<String> {
    let Series { what, who, machines, clients, .. } = series;
    let latency = |which: fn(&Latency) -> f64| {
        let values = run.latencies(series, which).into_iter().map(|(_, value)| value);
        Range::of(values).map_or_else(String::new, |range| number(range.median))
    };
    let machines = if who == Who::Bare { String::new() } else { number(machines as f64) };
    vec![
        name(what).into(),
        who_name(who).into(),
        machines,
        clients.to_string(),
        of(run.values(series)) + &refused(run.refused(series)),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
        latency(|latency| latency.p999),
    ]
}

fn refused(count: u64) -> String {
    if count == 0 { String::new() } else { format!("; {count} refused") }
}

fn goals_of(run: &Run) -> Option<String> {
    let row = |goal: &Goal| {
        let met = match goal.is_met() {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        };
        vec![goal.path.clone(), goal.goal.clone(), goal.measured.map_or_else(String::new, ranged), met.into()]
    };
    let rows: Vec<_> = goals::all(run).iter().filter(|goal| goal.measured.is_some()).map(row).collect();
    (!rows.is_empty()).then(|| table(&["path", "goal", "measured (range)", ""], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::run_of;

    #[test]
    fn a_series_is_a_row_with_its_median_and_range() {
        let get = Series { what: What::Get, who: Who::Cloudm, store: Store::Embedded, machines: 1_000, clients: 32 };
        let bare = Series { who: Who::Bare, store: Store::Memory, machines: 0, ..get };
        let shown = show(&run_of(&[(get, 60_000.0), (get, 70_000.0), (get, 80_000.0), (bare, 100_000.0)]));
        assert!(shown.contains("70,000 (60,000–80,000)") && shown.contains("bare handler"), "{shown}");
        assert!(shown.contains("0.70 (0.60–0.80) | met"), "{shown}");
        assert!(!shown.contains("moto"), "what was not measured is not shown: {shown}");
    }
}
