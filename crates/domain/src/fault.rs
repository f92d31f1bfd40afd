//! Faults: rules that make chosen things go wrong.

use crate::behaviour::Odds;
use crate::draw::{DrawName, Draws, Purpose};
use crate::effect::{Effect, EffectKind, FaultRefusal};
use crate::id::{FaultId, MachineId};
use crate::lifecycle::{Cause, MachineState, TRANSITIONS};
use crate::selector::{ClusterRef, Selector};
use crate::strike::StruckDown;
use crate::time::{Instant, Span};

/// What a fault waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FaultOn {
    /// That a client asks this of a machine, or for a machine, and it would be done.
    Operation(Cause),
    /// That a machine enters this state.
    State(MachineState),
    /// That a client sends a request like this.
    Request(RequestPattern),
}

impl FaultOn {
    /// The code of the operation or the state; for a request, the path.
    fn what(&self) -> &str {
        match self {
            Self::Operation(cause) => cause.code(),
            Self::State(state) => state.code(),
            Self::Request(pattern) => &pattern.path,
        }
    }
}

/// Which requests: by method and path, as they are under the root of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestPattern {
    /// The method, in upper case; none for any.
    pub method: Option<String>,
    /// The path, or the beginning of one with a `*` at its end.
    pub path: String,
}

impl RequestPattern {
    /// The longest path.
    pub const MAX_PATH: usize = 200;
    /// The methods that there are.
    pub const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];

    /// Whether it is a request like this.
    ///
    /// ```
    /// use cloudm_domain::RequestPattern;
    /// let starts = RequestPattern { method: Some("POST".into()), path: "/machines/*".into() };
    /// assert!(starts.matches("POST", "/machines/70dbd880131237f27bdd20d5"));
    /// assert!(!starts.matches("GET", "/machines/70dbd880131237f27bdd20d5"));
    /// assert!(!starts.matches("POST", "/machines"));
    /// ```
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits = self.method.as_ref().is_none_or(|one| one == method);
        method_fits && self.path.strip_suffix('*').map_or(self.path == path, |prefix| path.starts_with(prefix))
    }
}

crate::lifecycle::codes! {
    /// Whose matches `after` and `times` count, for a fault on an operation.
    FaultScope {
        /// Those of each machine by itself.
        Machine = 1 "MACHINE",
        /// Those of all machines of the world, in the order in which they are written: which machines it strikes depends on who
        /// comes first.
        World = 2 "WORLD",
    }
}

impl FaultScope {
    /// Whether it counts for each machine.
    pub const fn is_machine(&self) -> bool {
        matches!(self, Self::Machine)
    }
}

/// A rule that makes chosen things go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FaultRule {
    /// Which machines; for requests, all.
    pub selector: Selector,
    /// What it waits for.
    pub on: FaultOn,
    /// Whose matches `after` and `times` count. Those of requests are the world's, whatever it says.
    #[cfg_attr(feature = "serde", serde(default = "of_machines", skip_serializing_if = "FaultScope::is_machine"))]
    pub scope: FaultScope,
    /// How many matches it lets pass first.
    pub after: u32,
    /// How many matches it strikes then; none for all.
    pub times: Option<u32>,
    /// The odds that it matches what it waits for.
    pub probability: Odds,
    /// What it does.
    pub effect: Effect,
    /// When it begins to hold; none for at once.
    pub active_from: Option<Instant>,
    /// When it holds no more; none for never.
    pub active_until: Option<Instant>,
}

#[cfg(feature = "serde")]
const fn of_machines() -> FaultScope {
    FaultScope::Machine
}

/// The part of a rule in which a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultField {
    /// `selector`.
    Selector,
    /// `on`.
    On,
    /// `scope`.
    Scope,
    /// `after`.
    After,
    /// `times`.
    Times,
    /// `probability`.
    Probability,
    /// `effect`.
    Effect,
    /// `active_until`.
    ActiveUntil,
}

/// Why a rule is refused: it could never do anything, or makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidFault {
    /// Where the mistake is.
    pub field: FaultField,
    /// What it is.
    pub why: String,
}

impl FaultRule {
    /// A rule that strikes all machines, or all such requests, each time and always.
    ///
    /// ```
    /// use cloudm_domain::{Effect, FaultOn, FaultRule, Instant, MachineState, Odds};
    /// let rule = FaultRule::new(FaultOn::State(MachineState::Starting), Effect::Stick(None));
    /// let seldom = FaultRule { probability: Odds::try_from(0.01)?, ..rule };
    /// assert_eq!(seldom.check(Instant::DEFAULT_START), Ok(()));
    /// # Ok::<(), cloudm_domain::InvalidOdds>(())
    /// ```
    pub fn new(on: FaultOn, effect: Effect) -> Self {
        Self {
            selector: Selector::default(),
            on,
            scope: FaultScope::Machine,
            after: 0,
            times: None,
            probability: Odds::ALWAYS,
            effect,
            active_from: None,
            active_until: None,
        }
    }

    /// Whether it always matches what it waits for.
    pub fn is_certain(&self) -> bool {
        self.probability == Odds::ALWAYS
    }

    /// The longest that an answer may wait.
    pub const MAX_SLOW: Span = Span::from_secs(60);
    /// The longest after which a request is to be tried again.
    pub const MAX_RETRY_AFTER: Span = Span::from_secs(3600);

    /// Checks that a rule that is to hold from `from` on can do something.
    ///
    /// # Errors
    /// With the first mistake.
    pub fn check(&self, from: Instant) -> Result<(), InvalidFault> {
        match &self.on {
            FaultOn::Operation(cause) => self.check_operation(*cause)?,
            FaultOn::State(state) => self.check_state(*state)?,
            FaultOn::Request(pattern) => self.check_request(pattern)?,
        }
        self.check_effect()?;
        if !self.scope.is_machine() && !matches!(self.on, FaultOn::Operation(_)) {
            return wrong(FaultField::Scope, "only the matches of an operation are counted for the world");
        }
        if self.times == Some(0) {
            return wrong(FaultField::Times, "it would strike nothing");
        }
        if self.probability == Odds::NEVER {
            return wrong(FaultField::Probability, "it would never match");
        }
        let from = self.active_from.map_or(from, |later| later.max(from));
        match self.active_until {
            Some(until) if until <= from => wrong(FaultField::ActiveUntil, "it would end before it holds"),
            _ => Ok(()),
        }
    }

    fn check_operation(&self, cause: Cause) -> Result<(), InvalidFault> {
        let rows = || TRANSITIONS.iter().filter(move |row| row.cause == cause);
        if cause.is_of_the_world() {
            return wrong(FaultField::On, &format!("{cause} is not asked by anybody"));
        }
        let kind = self.effect.kind();
        let mut entered = rows().filter_map(|row| row.via.first());
        if kind != EffectKind::Refuse && !entered.any(|state| kind.is_possible_in(*state)) {
            return self.no_meaning();
        }
        let states = &self.selector.states;
        if !states.is_empty() && !rows().any(|row| row.from.iter().any(|from| states.contains(from))) {
            return wrong(FaultField::Selector, &format!("{cause} does not lead from any of these states"));
        }
        if cause == Cause::Create && self.after > 0 && self.scope.is_machine() {
            return wrong(FaultField::After, "each machine is made once; with scope WORLD it counts them all");
        }
        Ok(())
    }

    fn check_state(&self, state: MachineState) -> Result<(), InvalidFault> {
        if !self.effect.kind().is_possible_in(state) {
            return self.no_meaning();
        }
        if !self.selector.states.is_empty() {
            return wrong(FaultField::Selector, "the state is the one that is entered");
        }
        let by_name = |one: &ClusterRef| matches!(one, ClusterRef::Name(_));
        if !self.selector.regions.is_empty() || self.selector.clusters.iter().any(by_name) {
            let why = "what happens to a machine by itself depends on the machine alone: select clusters by their ids";
            return wrong(FaultField::Selector, why);
        }
        Ok(())
    }

    fn check_request(&self, pattern: &RequestPattern) -> Result<(), InvalidFault> {
        if !matches!(self.effect.kind(), EffectKind::Throttle | EffectKind::LoseReply | EffectKind::SlowReply) {
            return self.no_meaning();
        }
        if self.selector != Selector::default() {
            return wrong(FaultField::Selector, "a request is not of a machine");
        }
        let RequestPattern { method, path } = pattern;
        if method.as_ref().is_some_and(|method| !RequestPattern::METHODS.contains(&method.as_str())) {
            return wrong(FaultField::On, "the method is one of GET, POST, PATCH and DELETE");
        }
        let stars = path.matches('*').count() - usize::from(path.ends_with('*'));
        let clean = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
        if !path.starts_with('/') || path.len() > RequestPattern::MAX_PATH || stars > 0 || !clean {
            return wrong(FaultField::On, "a path begins with / and has a * only at its end");
        }
        Ok(())
    }

    fn check_effect(&self) -> Result<(), InvalidFault> {
        let why = match &self.effect {
            Effect::Refuse(FaultRefusal { code, status }) => {
                let of_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                let named = code.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
                if !named || code.len() > 63 || !code.bytes().all(of_code) {
                    "a code is 1 to 63 lower-case letters, digits and _, and begins with a letter"
                } else if !(400..=599).contains(status) {
                    "the status of a refusal is from 400 to 599"
                } else {
                    return Ok(());
                }
            }
            Effect::Delay(Span::ZERO) | Effect::SlowReply(Span::ZERO) => "it would wait for no time",
            Effect::SlowReply(by) if *by > Self::MAX_SLOW => "an answer waits at most a minute",
            Effect::Throttle(after) if *after > Self::MAX_RETRY_AFTER => "a request is tried again within an hour",
            _ => return Ok(()),
        };
        wrong(FaultField::Effect, why)
    }

    fn no_meaning(&self) -> Result<(), InvalidFault> {
        wrong(FaultField::Effect, &format!("{} is not possible on {}", self.effect.kind(), self.on.what()))
    }
}

fn wrong(field: FaultField, why: &str) -> Result<(), InvalidFault> {
    Err(InvalidFault { field, why: why.into() })
}

/// A rule with its id, and the time in which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Fault {
    /// Its id.
    pub id: FaultId,
    /// What it says.
    pub rule: FaultRule,
    /// The instant from which it holds.
    pub from: Instant,
    /// The instant from which it holds no more; none where it holds for ever.
    pub until: Option<Instant>,
    /// Whether it was removed.
    pub removed: bool,
}

impl Fault {
    /// The refusal of what it strikes, where it refuses it.
    pub(crate) fn strikes_down(&self) -> Option<Box<StruckDown>> {
        match &self.rule.effect {
            Effect::Refuse(refusal) => Some(Box::new(StruckDown::Fault { fault: self.id, refusal: refusal.clone() })),
            _ => None,
        }
    }

    /// How many of so many matches it struck: none of those that it lets pass first, and no more than it says.
    pub fn struck_of(&self, matches: u64) -> u64 {
        let struck = matches.saturating_sub(self.rule.after.into());
        self.rule.times.map_or(struck, |times| struck.min(times.into()))
    }

    /// Whether it does nothing any more after so many matches.
    pub fn is_spent_after(&self, matches: u64) -> bool {
        let most = |times: u32| u64::from(self.rule.after) + u64::from(times);
        self.rule.times.is_some_and(|times| matches >= most(times))
    }

    /// Whether it matches the request of this number, from 0, of those that are like what it waits for.
    pub fn draws_request(&self, number: u64, draws: &Draws) -> bool {
        let name = DrawName {
            machine: MachineId::from_bytes([0; 12]),
            ordinal: number as u32,
            purpose: Purpose::Fault(self.id),
            attempt: (number >> 32) as u32,
        };
        draws.draw(&name).millionth() < self.rule.probability.as_millionths()
    }

    /// Whether it holds at an instant.
    pub fn holds_at(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::SelectorField;

    fn refused(rule: &FaultRule) -> Option<FaultField> {
        rule.check(Instant::DEFAULT_START).err().map(|wrong| wrong.field)
    }

    fn refuse(code: &str, status: u16) -> Effect {
        Effect::Refuse(FaultRefusal { code: code.into(), status })
    }

    fn request(method: Option<&str>, path: &str) -> FaultOn {
        FaultOn::Request(RequestPattern { method: method.map(str::to_owned), path: path.into() })
    }

    #[test]
    fn an_effect_has_to_be_possible_where_it_is_to_strike() {
        use FaultOn::{Operation, State};
        let (second, all) = (Span::from_secs(1), || request(None, "/machines"));
        let possible = [
            FaultRule::new(Operation(Cause::Create), refuse("out_of_luck", 500)),
            FaultRule::new(Operation(Cause::Stop), Effect::Stick(None)),
            FaultRule::new(Operation(Cause::Start), Effect::Crash(Span::ZERO)),
            FaultRule::new(State(MachineState::Running), Effect::Crash(second)),
            FaultRule::new(State(MachineState::Stopping), Effect::Delay(second)),
            FaultRule::new(State(MachineState::Repairing), Effect::Fail),
            FaultRule::new(all(), Effect::LoseReply),
        ];
        assert_eq!(possible.each_ref().map(refused), [None; 7]);
        let impossible = [
            FaultRule::new(Operation(Cause::Stop), Effect::Fail),
            FaultRule::new(Operation(Cause::Terminate), Effect::Crash(second)),
            FaultRule::new(Operation(Cause::Start), Effect::LoseReply),
            FaultRule::new(State(MachineState::Running), Effect::Fail),
            FaultRule::new(State(MachineState::Stopped), Effect::Stick(None)),
            FaultRule::new(State(MachineState::Stopping), Effect::Crash(second)),
            FaultRule::new(State(MachineState::Starting), refuse("no", 500)),
            FaultRule::new(all(), Effect::Fail),
            FaultRule::new(Operation(Cause::Start), refuse("No", 500)),
            FaultRule::new(Operation(Cause::Start), refuse("no", 200)),
            FaultRule::new(State(MachineState::Starting), Effect::Delay(Span::ZERO)),
            FaultRule::new(all(), Effect::SlowReply(Span::from_secs(61))),
        ];
        assert_eq!(impossible.each_ref().map(refused), [Some(FaultField::Effect); 12]);
    }

    #[test]
    fn a_rule_that_could_never_match_is_refused() {
        let start = || FaultRule::new(FaultOn::Operation(Cause::Start), Effect::Fail);
        let select = |rule: FaultRule, field, text| {
            let mut rule = rule;
            rule.selector.add(field, text).unwrap();
            refused(&rule)
        };
        assert_eq!(select(start(), SelectorField::State, "FAILED,RUNNING"), None);
        assert_eq!(select(start(), SelectorField::State, "RUNNING"), Some(FaultField::Selector));
        assert_eq!(select(start(), SelectorField::Region, "A"), None);
        let for_world = |on, effect| FaultRule { scope: FaultScope::World, after: 3, ..FaultRule::new(on, effect) };
        let create = || FaultOn::Operation(Cause::Create);
        assert_eq!(refused(&FaultRule { after: 3, ..FaultRule::new(create(), Effect::Fail) }), Some(FaultField::After));
        assert_eq!(refused(&for_world(create(), Effect::Fail)), None);
        let elsewhere = [
            for_world(FaultOn::State(MachineState::Starting), Effect::Fail),
            for_world(request(None, "/machines"), Effect::LoseReply),
        ];
        assert_eq!(elsewhere.each_ref().map(refused), [Some(FaultField::Scope); 2]);
        let running = || FaultRule::new(FaultOn::State(MachineState::Running), Effect::Crash(Span::ZERO));
        for (field, text) in
            [(SelectorField::State, "RUNNING"), (SelectorField::Region, "A"), (SelectorField::Cluster, "web")]
        {
            assert_eq!(select(running(), field, text), Some(FaultField::Selector), "{text}");
        }
        assert_eq!(select(running(), SelectorField::Cluster, "70dbd8809c404bf3976680b0"), None);
        let listing = FaultRule::new(request(Some("GET"), "/machines*"), Effect::LoseReply);
        assert_eq!(select(listing, SelectorField::Tag, "a"), Some(FaultField::Selector));
        let create = FaultRule::new(FaultOn::Operation(Cause::Create), Effect::Fail);
        assert_eq!(refused(&FaultRule { after: 1, ..create }), Some(FaultField::After));
        assert_eq!(refused(&FaultRule { times: Some(0), ..start() }), Some(FaultField::Times));
        assert_eq!(refused(&FaultRule { probability: Odds::NEVER, ..start() }), Some(FaultField::Probability));
        let until = |active_until| refused(&FaultRule { active_until: Some(active_until), ..start() });
        assert_eq!(until(Instant::DEFAULT_START), Some(FaultField::ActiveUntil));
        assert_eq!(until(Instant::DEFAULT_START.plus(Span::from_millis(1))), None);
        assert_eq!(
            refused(&FaultRule::new(FaultOn::Operation(Cause::Repair), Effect::Fail)),
            Some(FaultField::On),
            "nobody asks for it"
        );
    }

    #[test]
    fn requests_are_told_by_method_and_path() {
        let lost = |method, path| refused(&FaultRule::new(request(method, path), Effect::LoseReply));
        assert_eq!(lost(None, "/*"), None);
        for (method, path) in
            [(Some("get"), "/"), (None, "machines"), (None, "/a*b"), (None, "/a b"), (None, "/a?b"), (None, "")]
        {
            assert_eq!(lost(method, path), Some(FaultField::On), "{path}");
        }
        assert_eq!(lost(None, &format!("/{}", "a".repeat(RequestPattern::MAX_PATH))), Some(FaultField::On));
    }
}
