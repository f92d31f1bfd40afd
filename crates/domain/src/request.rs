//! Commands: what a client asks of a machine, and how the machine decides.

use crate::cluster::Cluster;
use crate::event::{Change, Entered, WorldRefusal};
use crate::lifecycle::{self, Cause, MachineState, Operation};
use crate::machine::{InProgress, Machine, Outcome};
use crate::name::{Code, Name, Tags};
use crate::rules::Rules;
use crate::strike::Struck;
use crate::time::Instant;

/// An operation with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// START.
    Start,
    /// STOP.
    Stop,
    /// REBOOT.
    Reboot,
    /// SUSPEND.
    Suspend,
    /// RESUME.
    Resume,
    /// RESIZE to this machine type.
    Resize(Code),
    /// TERMINATE.
    Terminate,
}

impl Command {
    /// The operation.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Start => Operation::Start,
            Self::Stop => Operation::Stop,
            Self::Reboot => Operation::Reboot,
            Self::Suspend => Operation::Suspend,
            Self::Resume => Operation::Resume,
            Self::Resize(_) => Operation::Resize,
            Self::Terminate => Operation::Terminate,
        }
    }
}

/// What a client asks of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Request {
    /// The operation.
    pub command: Command,
    /// Whether it is forced. Protection holds all the same.
    pub force: bool,
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self { command, force: false }
    }
}

/// A change of a machine's own data; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// The new name.
    pub name: Option<Name>,
    /// The new tags.
    pub tags: Option<Tags>,
    /// Whether it is to refuse STOP.
    pub protect_stop: Option<bool>,
    /// Whether it is to refuse TERMINATE.
    pub protect_terminate: Option<bool>,
}

fn entered_by(changes: &[Change]) -> Option<&Entered> {
    changes.iter().find_map(|change| match change {
        Change::Entered(entered) => Some(entered),
        _ => None,
    })
}

fn cause_of(changes: &[Change]) -> Option<Cause> {
    entered_by(changes).map(|entered| entered.cause)
}

/// Why a machine refuses a command. The machine is as it was, settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No transition leads from its state by this operation.
    #[error("{operation} is not possible in {state}")]
    IllegalTransition {
        /// What was asked.
        operation: Operation,
        /// The state it is in.
        state: MachineState,
        /// The operations allowed now.
        allowed: Vec<Operation>,
    },
    /// It is on its way from one state to another.
    #[error("{operation} is not possible while the machine is {state}")]
    InProgress {
        /// What was asked.
        operation: Operation,
        /// The state it is in.
        state: MachineState,
        /// The change in progress.
        in_progress: InProgress,
        /// When that began.
        started_at: Instant,
        /// When that is due; none where it is stuck.
        due_at: Option<Instant>,
        /// The operations allowed now.
        allowed: Vec<Operation>,
    },
    /// It is protected.
    #[error("the machine is protected from {operation}")]
    Protected {
        /// What was asked.
        operation: Operation,
        /// The state it is in.
        state: MachineState,
        /// The operations allowed now.
        allowed: Vec<Operation>,
    },
    /// It is TERMINATED and cannot be edited.
    #[error("a TERMINATED machine cannot be changed")]
    Terminated,
}

impl Machine {
    /// Settles, decides and settles again, so that what takes no time is done.
    ///
    /// Total: any machine, any request, any instant. `now` is taken as not before the machine's last event.
    ///
    /// ```
    /// # use cloudm_domain::*;
    /// # fn machine(rules: &Rules) -> Machine {
    /// #     let new = NewMachine { id: MachineId::from_bytes([1; 12]), cluster_id: ClusterId::from_bytes([2; 12]),
    /// #         name: "web-1".parse().unwrap(), machine_type: "small".parse().unwrap(), tags: Tags::default(),
    /// #         protection: Protection::default(), start: true };
    /// #     Machine::create(new, Instant::DEFAULT_START, rules).machine
    /// # }
    /// let rules = Rules::new(Seed::new(1)?, Preset::Instant.behaviour());
    /// let machine = machine(&rules);
    /// let outcome = machine.request(&Command::Stop.into(), Instant::DEFAULT_START, &rules)?;
    /// assert_eq!(outcome.machine.state, MachineState::Stopped);
    /// assert_eq!(outcome.events.len(), 2); // STOPPING, STOPPED
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the operation is not possible now.
    pub fn request(self, request: &Request, now: Instant, rules: &Rules) -> Result<Outcome, Refusal> {
        self.request_in(request, None, now, rules)
    }

    /// As [`Machine::request`], for a machine of a cluster that faults and schedules may select by its region or its name.
    ///
    /// A fault or an outage may refuse what would be possible otherwise; then [`Outcome::struck_down`] says so.
    ///
    /// # Errors
    /// When the operation is not possible now.
    pub fn request_in(
        self,
        request: &Request,
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &Rules,
    ) -> Result<Outcome, Refusal> {
        self.command(cluster, now, rules, |machine| machine.decide(request))
    }

    /// Lets the world refuse what was asked of it. It stays in its state, with what is due there.
    ///
    /// `changed` of the outcome is true: its next draw is another one.
    pub fn refuse(
        self,
        (cause, why): (Cause, WorldRefusal),
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &Rules,
    ) -> Outcome {
        let now = now.max(self.updated_at);
        let Outcome { mut machine, mut events, .. } = self.settle_in(cluster, now, rules);
        events.push(machine.happen(now, Change::Refused { cause, why }));
        Outcome { machine, events, changed: true, struck_down: None }
    }

    /// Ends the machine and forgets it once it is TERMINATED; one that already is, now.
    ///
    /// # Errors
    /// When it is protected from TERMINATE.
    pub fn delete(self, now: Instant, rules: &Rules) -> Result<Outcome, Refusal> {
        self.delete_in(None, now, rules)
    }

    /// As [`Machine::delete`], for a machine of a cluster that faults and schedules may select by its region or its name.
    ///
    /// # Errors
    /// When it is protected from TERMINATE.
    pub fn delete_in(self, cluster: Option<&Cluster>, now: Instant, rules: &Rules) -> Result<Outcome, Refusal> {
        self.command(cluster, now, rules, |machine| {
            let terminating = machine.decide(&Command::Terminate.into())?;
            let marking = (!machine.deleted).then_some(Change::DeleteRequested);
            Ok(marking.into_iter().chain(terminating).collect())
        })
    }

    /// Changes name, tags and protection.
    ///
    /// # Errors
    /// When it is TERMINATED.
    pub fn edit(self, edit: &Edit, now: Instant, rules: &Rules) -> Result<Outcome, Refusal> {
        self.edit_in(edit, None, now, rules)
    }

    /// As [`Machine::edit`], for a machine of a cluster that schedules may select by its region or its name.
    ///
    /// # Errors
    /// When it is TERMINATED.
    pub fn edit_in(
        self,
        edit: &Edit,
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &Rules,
    ) -> Result<Outcome, Refusal> {
        self.command(cluster, now, rules, |machine| {
            if !machine.holds_name() {
                return Err(Refusal::Terminated);
            }
            Ok(machine.edited(edit).into_iter().collect())
        })
    }

    fn command(
        self,
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &Rules,
        decide: impl FnOnce(&Self) -> Result<Vec<Change>, Refusal>,
    ) -> Result<Outcome, Refusal> {
        let now = now.max(self.updated_at);
        let Outcome { mut machine, mut events, .. } = self.settle_in(cluster, now, rules);
        let changes = decide(&machine)?;
        let changed = !changes.is_empty();
        if let Some(outage) = rules.outage(cluster, now).filter(|_| changed) {
            let refused = cause_of(&changes).map(|cause| Change::Refused { cause, why: WorldRefusal::RegionOutage });
            events.extend(refused.map(|change| machine.happen(now, change)));
            return Ok(Outcome { machine, events, changed, struck_down: Some(outage) });
        }
        let Struck { told, by } = machine.struck_by(&changes, cluster, now, rules);
        events.extend(told.into_iter().map(|change| machine.happen(now, change)));
        if let Some((struck_down, cause)) = by.and_then(|fault| fault.strikes_down().zip(cause_of(&changes))) {
            events.push(machine.happen(now, Change::Refused { cause, why: WorldRefusal::Fault }));
            return Ok(Outcome { machine, events, changed, struck_down: Some(struck_down) });
        }
        for change in changes {
            match change {
                Change::Entered(entered) => {
                    let effect = by.map(|fault| &fault.rule.effect);
                    machine.enter((now, entered), effect, rules, &mut events);
                }
                other => events.push(machine.happen(now, other)),
            }
        }
        let settled = machine.settle_in(cluster, now, rules);
        events.extend(settled.events);
        Ok(Outcome { machine: settled.machine, events, changed, struck_down: None })
    }

    /// What faults make of the operation that these changes are of.
    fn struck_by<'a>(
        &self,
        changes: &[Change],
        cluster: Option<&Cluster>,
        now: Instant,
        rules: &'a Rules,
    ) -> Struck<'a> {
        if rules.faults.is_empty() {
            return Struck::default();
        }
        let Some(entered) = entered_by(changes) else { return Struck::default() };
        rules.faults.on_operation((self, cluster), (entered.cause, entered.state), now, &rules.draws)
    }

    fn decide(&self, request: &Request) -> Result<Vec<Change>, Refusal> {
        let operation = request.command.operation();
        if let Command::Resize(machine_type) = &request.command
            && self.has_or_gets(machine_type)
        {
            return Ok(Vec::new());
        }
        let row = lifecycle::transition(operation.into(), self.state, request.force, self.is_stuck());
        if lifecycle::already_so(operation, self.state) && row.is_none() {
            return Ok(Vec::new());
        }
        let row = row.ok_or_else(|| self.refusal(operation))?;
        if self.protection.refuses(operation) {
            return Err(self.protected(operation));
        }
        let machine_type = match &request.command {
            Command::Resize(machine_type) => Some(machine_type.clone()),
            _ => None,
        };
        Ok(vec![Change::Entered(Entered {
            state: row.via.first().copied().unwrap_or(row.to),
            cause: row.cause,
            to: row.to,
            next: None,
            reason: None,
            machine_type,
        })])
    }

    fn has_or_gets(&self, machine_type: &Code) -> bool {
        let coming = self.in_progress.as_ref().and_then(|change| change.machine_type.as_ref());
        coming.unwrap_or(&self.machine_type) == machine_type
    }

    fn refusal(&self, operation: Operation) -> Refusal {
        let allowed = self.allowed_operations();
        match &self.in_progress {
            None => Refusal::IllegalTransition { operation, state: self.state, allowed },
            Some(in_progress) => Refusal::InProgress {
                operation,
                state: self.state,
                in_progress: in_progress.clone(),
                started_at: self.state_changed_at,
                due_at: self.due_at(),
                allowed,
            },
        }
    }

    fn protected(&self, operation: Operation) -> Refusal {
        Refusal::Protected { operation, state: self.state, allowed: self.allowed_operations() }
    }

    fn edited(&self, edit: &Edit) -> Option<Change> {
        let protection = crate::Protection {
            stop: edit.protect_stop.unwrap_or(self.protection.stop),
            terminate: edit.protect_terminate.unwrap_or(self.protection.terminate),
        };
        let name = edit.name.clone().filter(|name| *name != self.name);
        let tags = edit.tags.clone().filter(|tags| *tags != self.tags);
        let protection = Some(protection).filter(|protection| *protection != self.protection);
        (name.is_some() || tags.is_some() || protection.is_some()).then_some(Change::Edited { name, tags, protection })
    }
}
