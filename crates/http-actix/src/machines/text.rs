//! A machine as JSON, written field by field.
//!
//! Machines are most of what a server says. Serde's way to the same text takes five times as long, for it looks at every byte of every
//! text and name; the tests hold that it is the same text.

use std::fmt::Write;
use std::ops::Range;

use cloudm_application::MachineView;
use cloudm_domain::Instant;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::list::MachineListBody;
use super::{MachineBody, ProtectionBody};

/// About as long as a machine is.
const A_MACHINE: usize = 640;

/// A machine as JSON.
pub(super) fn machine(view: &MachineView) -> String {
    let mut text = Text::with_capacity(A_MACHINE);
    text.machine(view);
    text.json
}

/// A page of machines as JSON.
pub(super) fn list(list: &MachineListBody<'_>) -> String {
    let MachineListBody { items, next_page_token, position } = list;
    let mut text = Text::with_capacity(A_MACHINE * (items.len() + 1));
    text.raw("{\"items\":[");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            text.raw(",");
        }
        text.machine(item.0);
    }
    text.raw("]");
    for (key, value) in [(",\"next_page_token\":", *next_page_token), (",\"position\":", position.as_deref())] {
        if let Some(value) = value {
            text.raw(key);
            text.string(value);
        }
    }
    text.raw("}");
    text.json
}

/// JSON as far as it is written.
#[derive(Default)]
pub(super) struct Text {
    pub(super) json: String,
    /// The last instant, and where it stands: most that follow are the same one.
    last: Option<(Instant, Range<usize>)>,
}

impl Text {
    fn with_capacity(capacity: usize) -> Self {
        Self { json: String::with_capacity(capacity), last: None }
    }

    pub(super) fn machine(&mut self, view: &MachineView) {
        let allowed = view.machine.allowed_operations();
        self.body(&MachineBody::new(&view.machine, &view.cluster, &allowed));
    }

    fn body(&mut self, body: &MachineBody<'_>) {
        let MachineBody {
            id,
            name,
            cluster_id,
            cluster_name,
            region_code,
            machine_type,
            ip_address,
            tags,
            state,
            state_changed_at,
            transition,
            state_reason,
            scheduled_events,
            allowed_operations,
            protection: ProtectionBody { stop, terminate },
            version,
            created_at,
            updated_at,
        } = body;
        self.id("{\"id\":\"", id.as_bytes());
        // In names, codes and tags there is nothing to escape.
        self.code(",\"name\":", name);
        self.id(",\"cluster_id\":\"", cluster_id.as_bytes());
        self.code(",\"cluster_name\":", cluster_name);
        self.code(",\"region_code\":", region_code);
        self.code(",\"machine_type\":", machine_type);
        for (before, octet) in [",\"ip_address\":\"", ".", ".", "."].into_iter().zip(ip_address.octets()) {
            self.number(before, octet.into());
        }
        self.raw("\"");
        self.array(",\"tags\":[", tags.as_slice(), |text, tag| text.code("", tag.as_str()));
        self.code(",\"state\":", state);
        self.instant(",\"state_changed_at\":", *state_changed_at);
        self.seldom(",\"transition\":", transition.as_ref());
        self.seldom(",\"state_reason\":", state_reason.as_ref());
        self.seldom(",\"scheduled_events\":", (!scheduled_events.is_empty()).then_some(scheduled_events));
        self.array(",\"allowed_operations\":[", allowed_operations, |text, operation| text.code("", operation.code()));
        self.flag(",\"protection\":{\"stop\":", *stop);
        self.flag(",\"terminate\":", *terminate);
        self.number("},\"version\":", *version);
        self.instant(",\"created_at\":", *created_at);
        self.instant(",\"updated_at\":", *updated_at);
        self.raw("}");
    }

    fn raw(&mut self, text: &str) {
        self.json.push_str(text);
    }

    /// A text, whatever is in it.
    fn string(&mut self, text: &str) {
        // All of it is looked at, for that is done many bytes at once.
        let needs_escape = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
            self.serialized(text);
        } else {
            self.raw("\"");
            self.raw(text);
            self.raw("\"");
        }
    }

    /// A text in which there is nothing to escape.
    fn code(&mut self, key: &str, code: &str) {
        self.raw(key);
        self.raw("\"");
        self.raw(code);
        self.raw("\"");
    }

    fn array<T>(&mut self, beginning: &str, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.raw(beginning);
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn id(&mut self, before: &str, bytes: &[u8; 12]) {
        self.raw(before);
        HEXLOWER.encode_append(bytes, &mut self.json);
        self.raw("\"");
    }

    fn number(&mut self, before: &str, number: u64) {
        self.raw(before);
        self.raw(itoa::Buffer::new().format(number));
    }

    fn instant(&mut self, key: &str, at: Instant) {
        self.raw(key);
        match self.last.clone() {
            Some((last, place)) if last == at => self.json.extend_from_within(place),
            _ => {
                let start = self.json.len();
                // A string takes all that is written to it.
                let _ = write!(self.json, "\"{at}\"");
                self.last = Some((at, start..self.json.len()));
            }
        }
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.raw(key);
        self.raw(if flag { "true" } else { "false" });
    }

    /// What few machines have.
    fn seldom(&mut self, key: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.raw(key);
            self.serialized(value);
        }
    }

    fn serialized(&mut self, value: &(impl Serialize + ?Sized)) {
        // Only a map with keys that are no text cannot be written, and there is none.
        self.json.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use cloudm_domain::{
        Cluster, ClusterId, Command, Machine, MachineId, NewMachine, Preset, Protection, Rules, ScheduleKind,
        ScheduleRule, Seed, Selector, Span, Tags,
    };

    use super::super::Shown;
    use super::*;

    fn cluster() -> Arc<Cluster> {
        let id = ClusterId::from_bytes([1; 12]);
        Arc::new(Cluster::create(id, "web".parse().unwrap(), "A".parse().unwrap(), Instant::DEFAULT_START))
    }

    fn rules() -> Rules {
        let seed = Seed::new(3).unwrap();
        let mut rules = Rules::new(seed, Preset::Flaky.behaviour());
        let day = Instant::DEFAULT_START.plus(Span::from_secs(86_400));
        let rule = ScheduleRule {
            kind: ScheduleKind::MaintenanceMigration,
            selector: Selector::default(),
            not_before: day,
            deadline: day.plus(Span::from_secs(600)),
            notice: Span::from_secs(3_600),
        };
        rules.schedule.push(rule, Instant::DEFAULT_START, seed);
        rules
    }

    fn made(number: u8, tags: &[&str]) -> Machine {
        let new = NewMachine {
            id: MachineId::from_bytes([number; 12]),
            cluster_id: cluster().id,
            name: format!("web-{number}").parse().unwrap(),
            machine_type: "small".parse().unwrap(),
            tags: Tags::new(tags.iter().map(|tag| tag.parse().unwrap()).collect()).unwrap(),
            protection: Protection { stop: number.is_multiple_of(2), terminate: number.is_multiple_of(3) },
            start: !number.is_multiple_of(5),
        };
        Machine::create_in(new, Some(&cluster()), Instant::DEFAULT_START, &rules()).machine
    }

    /// Machines in the course of two days in which much happens to them.
    fn views() -> Vec<MachineView> {
        let (cluster, rules) = (cluster(), rules());
        let mut views = Vec::new();
        for number in 0..24 {
            let mut machine = made(number, &["a", "team:b"][..usize::from(number % 3)]);
            for step in 0..200_u64 {
                let now = Instant::DEFAULT_START.plus(Span::from_secs(step * step * 5));
                machine = machine.settle_in(Some(&cluster), now, &rules).machine;
                let command =
                    [Command::Suspend, Command::Reboot, Command::Stop, Command::Start][step as usize % 4].clone();
                if step % 7 == 0 {
                    let asked = machine.clone().request_in(&command.into(), Some(&cluster), now, &rules);
                    machine = asked.map_or(machine, |outcome| outcome.machine);
                }
                views.push(MachineView { machine: machine.clone(), cluster: cluster.clone(), now });
            }
        }
        views
    }

    #[test]
    fn it_is_what_serde_writes() {
        let (views, mut seen) = (views(), BTreeSet::new());
        for view in &views {
            let expected = serde_json::to_string(&Shown(view)).unwrap();
            assert_eq!(machine(view), expected);
            let seldom = ["transition", "due_at", "state_reason", "scheduled_events", "tags\":[]", "stop\":true"];
            seen.extend(seldom.into_iter().filter(|one| expected.contains(one)));
            seen.insert(view.machine.state.code());
        }
        assert!(seen.len() > 6 + 9, "nothing much happened: {seen:?}");
        for (token, position) in
            [(None, None), (Some("t"), None), (None, Some("p".to_owned())), (Some("t"), Some("p".into()))]
        {
            let items = views.iter().take(5).map(Shown).collect();
            let body = MachineListBody { items, next_page_token: token, position };
            assert_eq!(list(&body), serde_json::to_string(&body).unwrap());
        }
        let none = MachineListBody { items: Vec::new(), next_page_token: None, position: None };
        assert_eq!(list(&none), r#"{"items":[]}"#);
    }

    #[test]
    fn whatever_is_in_a_text_is_escaped() {
        for value in ["", "plain", "a\"b", "back\\slash", "line\nend", "\u{1}", "\u{7f}é😀", &"x".repeat(100)] {
            let mut text = Text::default();
            text.string(value);
            assert_eq!(text.json, serde_json::to_string(value).unwrap());
        }
    }
}
