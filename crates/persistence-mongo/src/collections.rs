//! The collections. `migrations/` makes them and says which indexes they have. Where an incarnation of a world owns a document,
//! it is `w`, and leads the `_id` and every index.

/// `{_id: name, incarnation, request_faults}`: which incarnation a world's name points to.
pub(crate) const WORLDS: &str = "worlds";
/// `{_id: incarnation, record, …}`: the record of each.
pub(crate) const INCARNATIONS: &str = "incarnations";
/// `{_id: "w/id", w, name, …}`: clusters.
pub(crate) const CLUSTERS: &str = "clusters";
/// `{_id: "w/id", gone: {…}}`: every id that a cluster ever had, with what those that were deleted were then.
pub(crate) const CLUSTER_IDS: &str = "cluster_ids";
/// `{_id: "w/id/number"}`: the guards of a cluster. See `guards`.
pub(crate) const GUARDS: &str = "guards";
/// `{_id: "w/id", w, cluster: "w/id", …}`: machines.
pub(crate) const MACHINES: &str = "machines";
/// `{_id: "w/seq", w, seq, event: {…}, counts: […]}`: the history. See `sequence`, and `counting` for the counts.
pub(crate) const EVENTS: &str = "events";
/// `{_id: incarnation, last, solid}`: the counter of that.
pub(crate) const SEQUENCES: &str = "sequences";
/// `{_id: incarnation, folded, counts: […]}`: how many machines there are. See `counting`.
pub(crate) const COUNTS: &str = "counts";
/// `{_id: "w/id", w, number, unended, record, …}`: fleet operations.
pub(crate) const OPERATIONS: &str = "operations";
/// `{_id: "w/operation/machine", w, operation, refused, outcome}`: what came of them for each machine.
pub(crate) const RESULTS: &str = "results";
/// `{_id: "w/key", w, …}`: kept answers.
pub(crate) const ANSWERS: &str = "answers";
/// `{_id: "w/fault", drawn, matched}`: how often faults matched requests.
pub(crate) const FAULT_REQUESTS: &str = "fault_requests";
/// `{_id: name, value}`: what is one for all worlds.
pub(crate) const SETTINGS: &str = "settings";
