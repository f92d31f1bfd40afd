//! What is to be reached, each a ratio of what was measured in one run, and whether it was.

use crate::sample::{Latency, Run, Series, Store, What, Who};
use crate::stats::{Range, Rounds, ratios};

/// A goal, and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Goal {
    pub(crate) path: String,
    /// The goal in words.
    pub(crate) goal: String,
    bound: Bound,
    /// What was measured, in the goal's unit; nothing where the run did not.
    pub(crate) measured: Option<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// 1, give or take so much.
    Near(f64),
}

impl Goal {
    /// Whether the median reaches it.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let median = self.measured?.median;
        Some(match self.bound {
            Bound::AtLeast(bound) => median >= bound,
            Bound::AtMost(bound) => median <= bound,
            Bound::Near(apart) => (median - 1.0).abs() <= apart,
        })
    }
}

/// All goals.
pub(crate) fn all(run: &Run) -> Vec<Goal> {
    let table = Table { run };
    [table.reads(), table.writes(), table.mongodb(), table.fleets(), table.growth(), table.resources(), table.domain()]
        .concat()
}

struct Table<'a> {
    run: &'a Run,
}

/// The most machines that a path was measured with.
fn most(run: &Run, what: What, store: Store) -> u64 {
    run.sizes(what, store).last().copied().unwrap_or(0)
}

impl Table<'_> {
    fn series(&self, what: What, who: Who, store: Store, clients: u32) -> Series {
        let machines = if who == Who::Bare { 0 } else { most(self.run, what, store) };
        let store = if who == Who::Bare { Store::Memory } else { store };
        Series { what, who, store, machines, clients }
    }

    fn ratio(&self, above: Series, below: Series) -> Vec<f64> {
        ratios(&self.run.values(above), &self.run.values(below))
    }

    fn goal(path: &str, goal: &str, bound: Bound, measured: impl IntoIterator<Item = f64>) -> Goal {
        Goal { path: path.into(), goal: goal.into(), bound, measured: Range::of(measured) }
    }

    fn values(of: Rounds) -> impl Iterator<Item = f64> {
        of.into_iter().map(|(_, value)| value)
    }

    fn reads(&self) -> Vec<Goal> {
        let embedded = Store::Embedded;
        let get = |clients| {
            let [cloudm, bare] = [Who::Cloudm, Who::Bare].map(|who| self.series(What::Get, who, embedded, clients));
            let path = format!("get, embedded, {clients} connections");
            Self::goal(&path, "≥ 0.7 × the bare handler", Bound::AtLeast(0.7), self.ratio(cloudm, bare))
        };
        let page = |what, who, clients| self.series(what, who, embedded, clients);
        let beside = |what: What, name: &str| {
            let ratio = self.ratio(page(what, Who::Cloudm, 32), page(what, Who::Raw, 1));
            let path = format!("{name} page of 100, embedded");
            Self::goal(&path, "≥ 0.6 × the raw loop", Bound::AtLeast(0.6), ratio)
        };
        let even = |what: What, name: &str| {
            let ratio = self.ratio(page(what, Who::Cloudm, 32), page(What::PageFirst, Who::Cloudm, 32));
            let path = format!("{name} page beside the first one");
            Self::goal(&path, "within 10 %", Bound::Near(0.1), ratio)
        };
        vec![
            get(32),
            get(256),
            beside(What::PageFirst, "first"),
            beside(What::PageMiddle, "middle"),
            beside(What::PageLast, "last"),
            even(What::PageMiddle, "middle"),
            even(What::PageLast, "last"),
        ]
    }

    fn writes(&self) -> Vec<Goal> {
        let write = |(what, name): (What, &str)| {
            let [cloudm, raw] = [Who::Cloudm, Who::Raw].map(|who| self.series(what, who, Store::Embedded, 64));
            let path = format!("{name}, embedded, 64 connections");
            Self::goal(&path, "≥ 0.7 × the raw loop, 64 a commit", Bound::AtLeast(0.7), self.ratio(cloudm, raw))
        };
        [(What::Create, "create"), (What::Action, "action"), (What::Patch, "PATCH")].map(write).into()
    }

    fn mongodb(&self) -> Vec<Goal> {
        let beside = |what: What, name: &str, clients: u32, bound: f64| {
            let [cloudm, raw] = [Who::Cloudm, Who::Raw].map(|who| self.series(what, who, Store::Mongodb, clients));
            let (path, goal) = (format!("{name}, MongoDB, {clients} clients"), format!("≥ {bound} × the raw driver"));
            Self::goal(&path, &goal, Bound::AtLeast(bound), self.ratio(cloudm, raw))
        };
        vec![
            beside(What::Get, "get", 16, 0.7),
            beside(What::Get, "get", 64, 0.7),
            beside(What::Action, "action", 64, 0.6),
        ]
    }

    fn fleets(&self) -> Vec<Goal> {
        let of = |what, who| self.series(what, who, Store::Embedded, 1);
        let beside = |(what, name, bound): (What, &str, f64)| {
            let (path, goal) = (format!("{name} all, embedded"), format!("≥ {bound} × the raw loop"));
            Self::goal(&path, &goal, Bound::AtLeast(bound), self.ratio(of(what, Who::Cloudm), of(what, Who::Raw)))
        };
        let fast = |(what, name): (What, &str)| {
            let values = Self::values(self.run.values(of(what, Who::Cloudm)));
            Self::goal(&format!("{name} all, embedded"), "≥ 30,000 machines/s", Bound::AtLeast(30_000.0), values)
        };
        let moto = Series { store: Store::Memory, ..self.series(What::MakeAll, Who::Moto, Store::Memory, 1) };
        let beside_moto = self.ratio(of(What::FleetCreate, Who::Cloudm), moto);
        vec![
            beside((What::FleetCreate, "create", 0.5)),
            Self::goal("create all, embedded", "≥ 150 × moto", Bound::AtLeast(150.0), beside_moto),
            beside((What::FleetStop, "stop", 0.4)),
            beside((What::FleetStart, "start", 0.4)),
            fast((What::FleetStop, "stop")),
            fast((What::FleetStart, "start")),
        ]
    }

    /// The worst of what a path costs at its greatest size, beside its least.
    fn growth(&self) -> Vec<Goal> {
        let paths = [
            (What::Get, "get"),
            (What::PageFirst, "page"),
            (What::Create, "create"),
            (What::Action, "action"),
            (What::Patch, "PATCH"),
        ];
        let stores = [(Store::Embedded, "embedded"), (Store::Mongodb, "MongoDB")];
        let each = stores.iter().flat_map(|store| paths.iter().map(move |path| (*path, *store)));
        each.map(|((what, name), (store, place))| {
            let path = format!("p50 of {name}, {place}: most machines beside fewest");
            Self::goal(&path, "≤ 1.5 ×", Bound::AtMost(1.5), self.grown(what, store))
        })
        .collect()
    }

    fn grown(&self, what: What, store: Store) -> Vec<f64> {
        let sizes = self.run.sizes(what, store);
        let (Some(least), Some(most)) = (sizes.first(), sizes.last()) else { return Vec::new() };
        let of = |machines, clients| Series { what, who: Who::Cloudm, store, machines, clients };
        let p50 = |series| self.run.latencies(series, |latency: &Latency| latency.p50);
        let crowds = [1, 32].map(|clients| ratios(&p50(of(*most, clients)), &p50(of(*least, clients))));
        let worst = |grown: &Vec<f64>| Range::of(grown.iter().copied()).map_or(0.0, |range| range.median);
        let crowds = crowds.into_iter().filter(|_| least < most);
        crowds.max_by(|one, other| worst(one).total_cmp(&worst(other))).unwrap_or_default()
    }

    fn resources(&self) -> Vec<Goal> {
        let of = |what| Self::values(self.run.values(self.series(what, Who::Cloudm, Store::Embedded, 1)));
        let memory = |(what, name, bound): (What, &str, f64)| {
            let mebi = of(what).map(|bytes| bytes / f64::from(1 << 20));
            Self::goal(&format!("memory, {name}"), &format!("≤ {bound} MB"), Bound::AtMost(bound), mebi)
        };
        let reopen = |(what, name): (What, &str)| Self::goal(name, "≤ 0.5 s", Bound::AtMost(0.5), of(what));
        let memories = [
            (What::MemoryIdle, "idle", 25.0),
            (What::MemoryFull, "with all machines", 150.0),
            (What::MemoryPeak, "during fleet work", 500.0),
        ];
        let reopens = [(What::Reopen, "reopen"), (What::ReopenKilled, "reopen after SIGKILL")];
        let busy = |series: Series| self.run.latencies(series, |latency| latency.p99);
        let [during, idle] =
            [What::ReadBusy, What::ReadIdle].map(|what| busy(self.series(what, Who::Cloudm, Store::Embedded, 1)));
        let reads =
            Self::goal("p99 of reads during fleet work", "≤ 3 × idle", Bound::AtMost(3.0), ratios(&during, &idle));
        memories.map(memory).into_iter().chain(reopens.map(reopen)).chain([reads]).collect()
    }

    fn domain(&self) -> Vec<Goal> {
        let values = Self::values(self.run.values(self.series(What::Settle, Who::Cloudm, Store::Memory, 1)));
        vec![Self::goal("domain, transitions in memory", "≥ 2,000,000/s", Bound::AtLeast(2_000_000.0), values)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::run_of;

    fn named<'a>(goals: &'a [Goal], path: &str) -> &'a Goal {
        goals.iter().find(|goal| goal.path == path).unwrap()
    }

    fn series(what: What, who: Who, store: Store, machines: u64, clients: u32) -> Series {
        Series { what, who, store, machines, clients }
    }

    #[test]
    fn a_goal_compares_what_was_measured_at_the_greatest_size() {
        let cloudm = |machines| series(What::Get, Who::Cloudm, Store::Embedded, machines, 32);
        let bare = series(What::Get, Who::Bare, Store::Memory, 0, 32);
        let run = run_of(&[(cloudm(10), 128.0), (cloudm(1_000), 64.0), (cloudm(1_000), 96.0), (bare, 128.0)]);
        let goals = all(&run);
        let get = named(&goals, "get, embedded, 32 connections");
        assert_eq!(get.measured, Some(Range { median: 0.625, min: 0.5, max: 0.75 }));
        assert_eq!(get.is_met(), Some(false));
        assert_eq!(named(&goals, "get, embedded, 256 connections").is_met(), None, "it was not measured");
    }

    #[test]
    fn bounds_hold_on_both_sides() {
        let of = |bound, median| {
            let measured = Some(Range { median, min: 0.0, max: 9.0 });
            Goal { path: String::new(), goal: String::new(), bound, measured }.is_met()
        };
        assert_eq!([of(Bound::AtLeast(1.0), 1.0), of(Bound::AtLeast(1.0), 0.9)], [Some(true), Some(false)]);
        assert_eq!([of(Bound::AtMost(1.0), 1.0), of(Bound::AtMost(1.0), 1.1)], [Some(true), Some(false)]);
        assert_eq!([of(Bound::Near(0.1), 0.95), of(Bound::Near(0.1), 1.2)], [Some(true), Some(false)]);
    }

    #[test]
    fn one_size_does_not_grow() {
        let get = series(What::Get, Who::Cloudm, Store::Embedded, 10, 32);
        let goals = all(&run_of(&[(get, 1.0)]));
        assert_eq!(named(&goals, "p50 of get, embedded: most machines beside fewest").measured, None);
    }
}
