//! Starting a fleet operation.

use std::sync::Arc;
use std::time::Duration;

use cloudm_domain::{
    Catalogue, ClusterId, Code, Command, FleetProgress, FleetState, InvalidText, Name, NameTemplate, OperationId,
    Protection, Request, Selector, Tag, Tags,
};

use super::fleet::InHand;
use super::walk::Ahead;
use super::{Fleet, WaitForOperation};
use crate::error::Error;
use crate::idempotency::{Answers, Stop};
use crate::ids::least_unused;
use crate::ports::{
    AcceptError, Accepted, Cursor, FleetOperation, FleetTemplate, FleetWork, Position, StoreError, WorldView,
};
use crate::writing::{Idempotency, Reply, RequestKey, Writing};

/// Machines that an operation may decide before it is answered.
const AT_ONCE: usize = 100;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetRequest {
    /// To make machines.
    Create(NewFleet),
    /// To ask an operation of machines. The empty selector is all of them.
    Operate(Selector, Request),
    /// To add tags to machines, and remove some.
    Tag {
        /// Of which. The empty selector is all of them.
        selector: Selector,
        /// Those to add.
        add: Vec<Tag>,
        /// Those to remove.
        remove: Vec<Tag>,
    },
    /// To delete the machines of a cluster, and then the cluster.
    DeleteCluster(ClusterId),
}

/// Machines to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFleet {
    /// How many: 1 to [`NewFleet::MAX`].
    pub count: u32,
    /// Their names, with a number for each where there is more than one.
    pub name: NameTemplate,
    /// The name of the cluster to make them in.
    pub cluster_name: Name,
    /// Their tags.
    pub tags: Tags,
    /// Their machine type; the catalogue's first where none is given.
    pub machine_type: Option<Code>,
    /// Whether they go on to RUNNING; else they end STOPPED.
    pub start: bool,
    /// What they refuse.
    pub protection: Protection,
}

impl NewFleet {
    /// The most machines that one operation makes.
    pub const MAX: u32 = 1_000_000;
}

/// How long a client waits for the end of the operation that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until it has ended, where it is about at most 100 machines; else not at all.
    Small,
    /// As that, and then so long.
    Until(Duration),
    /// Not at all.
    None,
}

/// Starts a fleet operation.
pub struct StartOperation {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) wait: WaitForOperation,
}

impl StartOperation {
    /// The operation, ended or as far as it is, and whether the request was carried out before, under its key: then it is the
    /// operation as it is now.
    ///
    /// # Errors
    /// [`Error::UnknownCluster`], [`Error::UnknownMachineType`], [`Error::NoSuchCluster`], [`Error::InvalidTemplate`],
    /// [`Error::TooManyOperations`], those of idempotency keys, [`Error::Contention`], [`Error::Store`].
    pub async fn run(
        &self,
        request: FleetRequest,
        key: Option<RequestKey>,
        patience: Patience,
    ) -> Result<(FleetOperation, bool), Error> {
        let writing = writing(key);
        let (operation, replayed) =
            match self.answers.once(&writing, Box::pin(self.start(request, &writing, patience))).await? {
                Reply::Fresh(operation) => (operation, false),
                Reply::Kept(id) => (self.kept(&id).await?, true),
            };
        match patience {
            Patience::Until(patience) => Ok((self.wait.at_most(operation, patience).await?, replayed)),
            Patience::Small | Patience::None => Ok((operation, replayed)),
        }
    }

    async fn kept(&self, id: &[u8]) -> Result<FleetOperation, Error> {
        let text = std::str::from_utf8(id).unwrap_or_default();
        let id: OperationId = text.parse().map_err(|why| StoreError::Damaged(format!("a kept answer: {why}")))?;
        self.fleet.operations.get(id).await?.ok_or(Error::NoSuchOperation)
    }

    async fn start(
        &self,
        request: FleetRequest,
        writing: &Writing<FleetOperation>,
        patience: Patience,
    ) -> Result<FleetOperation, Stop> {
        let work = self.validated(request).await?;
        let view = self.fleet.commands.world.read().await?;
        let large = matches!(&work, FleetWork::Create(template) if template.count as usize > AT_ONCE);
        let now = patience != Patience::None && !large;
        let (mut operation, in_hand) = self.accept(work, writing, (&view, now)).await?;
        if in_hand.is_some() {
            operation = self.begin(operation).await?;
        }
        drop(in_hand);
        if !operation.state.is_ended() {
            self.fleet.accepted.notify_one();
        }
        Ok(operation)
    }

    /// Decides the first machines; all, where they are few.
    async fn begin(&self, mut operation: FleetOperation) -> Result<FleetOperation, Error> {
        let mut ahead = Ahead::default();
        while !operation.state.is_ended() && operation.progress.matched() <= AT_ONCE as u64 {
            let waits = operation.cursor == Cursor::Emptying;
            let before = operation.clone();
            match self.fleet.step(operation, AT_ONCE, &mut ahead).await {
                Ok(Some(next)) if waits && next.cursor == Cursor::Emptying && !next.state.is_ended() => {
                    return Ok(next);
                }
                Ok(Some(next)) => operation = next,
                Ok(None) => {
                    return Ok(self.fleet.operations.get(before.id).await?.unwrap_or(before));
                }
                // It is accepted, and is worked off in the background.
                Err(error) => {
                    tracing::warn!(%error, operation = %before.id, "a fleet operation is gone on with later");
                    return Ok(before);
                }
            }
        }
        Ok(operation)
    }

    /// Accepts an operation; where it is begun now, it is in hand before anybody sees it.
    async fn accept(
        &self,
        work: FleetWork,
        writing: &Writing<FleetOperation>,
        (view, now): (&WorldView, bool),
    ) -> Result<(FleetOperation, Option<InHand<'_>>), Stop> {
        let name = serde_json::to_string(&work).map_err(|why| StoreError::Failed(why.to_string()))?;
        let id = |k| OperationId::of(view.world.seed, &name, view.now, k);
        let operation = |k| FleetOperation {
            id: id(k),
            number: 0,
            work: work.clone(),
            state: FleetState::Pending,
            progress: FleetProgress::default(),
            cursor: cursor(&work),
            accepted: Accepted { at: view.now, position: Position(Vec::new()) },
            finished_at: None,
            reason: None,
            expires_at: None,
        };
        let mut k = 0;
        for _ in 0..crate::machines::MAX_ATTEMPTS {
            let operation = operation(k);
            let in_hand = if now { self.fleet.take(operation.id) } else { None };
            let lease = in_hand.as_ref().map(|_| self.fleet.lease(view.wall));
            let keep = writing.keep(&operation, view.wall);
            match self.fleet.operations.accept(operation, lease, keep).await {
                Ok(operation) => return Ok((operation, in_hand)),
                Err(AcceptError::IdUsed) => {
                    let operations = &self.fleet.operations;
                    k = least_unused(|k| async move { Ok(operations.get(id(k)).await?.is_some()) }).await?;
                }
                Err(AcceptError::TooMany) => return Err(Error::TooManyOperations.into()),
                Err(AcceptError::KeyTaken) => return Err(Stop::KeyTaken),
                Err(AcceptError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Error::Contention.into())
    }

    /// What is asked for, where it makes sense.
    async fn validated(&self, request: FleetRequest) -> Result<FleetWork, Error> {
        match request {
            FleetRequest::Create(new) => self.template(new).await.map(FleetWork::Create),
            FleetRequest::Operate(selector, request) => {
                if let Command::Resize(code) = &request.command {
                    self.known(code)?;
                }
                Ok(FleetWork::Operate(selector, request))
            }
            FleetRequest::Tag { selector, add, remove } => Ok(FleetWork::Tag { selector, add, remove }),
            FleetRequest::DeleteCluster(cluster) => {
                self.fleet.clusters.get(cluster).await?.ok_or(Error::NoSuchCluster)?;
                Ok(FleetWork::DeleteCluster(cluster))
            }
        }
    }

    fn known(&self, code: &Code) -> Result<(), Error> {
        let known = self.catalogue.machine_type(code.as_str());
        known.map(drop).ok_or_else(|| Error::UnknownMachineType(code.clone()))
    }

    async fn template(&self, new: NewFleet) -> Result<FleetTemplate, Error> {
        // The last name is the longest; and where one with so many digits is no id, none is.
        let mistake = |why: InvalidText| Error::InvalidTemplate(why);
        (0..=new.count.ilog10()).try_for_each(|digits| new.name.name(10_u32.pow(digits)).map(drop)).map_err(mistake)?;
        if let Some(code) = &new.machine_type {
            self.known(code)?;
        }
        let unknown = || Error::UnknownCluster(new.cluster_name.clone());
        let cluster = self.fleet.clusters.find(&new.cluster_name).await?.ok_or_else(unknown)?.id;
        let machine_type = new.machine_type.unwrap_or_else(|| self.catalogue.default_machine_type().code.clone());
        let NewFleet { count, name, tags, start, protection, .. } = new;
        Ok(FleetTemplate { count, name, cluster, machine_type, tags, protection, start })
    }
}

fn cursor(work: &FleetWork) -> Cursor {
    match work {
        FleetWork::Create(_) => Cursor::Made(0),
        _ => Cursor::Walked(None),
    }
}

/// What is kept of an operation is which it is.
fn writing(key: Option<RequestKey>) -> Writing<FleetOperation> {
    let encode = |operation: &FleetOperation| operation.id.to_string().into_bytes();
    let key = key.map(|RequestKey { key, fingerprint }| Idempotency { key, fingerprint, encode: Arc::new(encode) });
    Writing { key, ..Writing::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::ports::{
        FleetWorked, KeptAnswer, MachinePage, MockAnswerStore, MockClusterStore, MockMachineStore, MockOperationStore,
    };
    use cloudm_domain::{FleetOutcome, Preset};

    fn starting(
        machines: MockMachineStore,
        operations: MockOperationStore,
        answers: MockAnswerStore,
    ) -> StartOperation {
        let mut clusters = MockClusterStore::new();
        let web = |name: &Name| (name.as_str() == "web").then(|| Arc::new(fixtures::cluster()));
        clusters.expect_find().returning(move |name| Ok(web(name)));
        let world = fixtures::world_of(Preset::Realistic, "10m");
        let fleet = Arc::new(fixtures::fleet(world, machines, clusters, operations));
        let answers = Arc::new(Answers::new(Arc::new(fixtures::world()), Arc::new(answers)));
        StartOperation { wait: WaitForOperation { fleet: fleet.clone() }, fleet, answers, catalogue: Arc::default() }
    }

    fn new(count: u32, name: &str) -> NewFleet {
        NewFleet {
            count,
            name: name.parse().unwrap(),
            cluster_name: "web".parse().unwrap(),
            tags: Tags::default(),
            machine_type: None,
            start: true,
            protection: Protection::default(),
        }
    }

    async fn start(starting: &StartOperation, request: FleetRequest) -> Result<FleetOperation, Error> {
        starting.run(request, None, Patience::Small).await.map(|(operation, _)| operation)
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_before_anything_is_done() {
        let starting = starting(MockMachineStore::new(), MockOperationStore::new(), MockAnswerStore::new());
        let refused = |request| start(&starting, request);
        let long = format!("{}{{n}}", "x".repeat(61));
        assert!(
            refused(FleetRequest::Create(new(100, &long)))
                .await
                .is_err_and(|error| matches!(error, Error::InvalidTemplate(_)))
        );
        let other = NewFleet { cluster_name: "db".parse().unwrap(), ..new(1, "a") };
        assert!(matches!(refused(FleetRequest::Create(other)).await, Err(Error::UnknownCluster(_))));
        let huge = NewFleet { machine_type: Some("huge".parse().unwrap()), ..new(1, "a") };
        assert!(matches!(refused(FleetRequest::Create(huge)).await, Err(Error::UnknownMachineType(_))));
        let resize = Command::Resize("huge".parse().unwrap()).into();
        let refused = refused(FleetRequest::Operate(Selector::default(), resize)).await;
        assert!(matches!(refused, Err(Error::UnknownMachineType(_))));
    }

    #[tokio::test]
    async fn a_small_one_is_complete_in_the_answer() {
        let mut machines = MockMachineStore::new();
        machines.expect_due().returning(|_, _| Ok(vec![]));
        machines.expect_walk().once().returning(fixtures::walking(|_| MachinePage {
            machines: vec![fixtures::placed(Preset::Realistic, "web-1")],
            next: None,
        }));
        let mut operations = MockOperationStore::new();
        operations
            .expect_accept()
            .once()
            .withf(|operation, lease, _| lease.is_some() && operation.cursor == Cursor::Walked(None))
            .returning(|operation, _, _| Ok(operation));
        operations.expect_work().once().returning(|batch| {
            let stop = FleetWork::Operate(Selector::default(), Command::Stop.into());
            let mut operation = fixtures::operation(stop);
            operation.decided(FleetOutcome::Done);
            operation.end(&batch.ending.unwrap());
            Ok(FleetWorked { operation, entries: vec![Ok(())] })
        });
        let starting = starting(machines, operations, MockAnswerStore::new());
        let stop = FleetRequest::Operate(Selector::default(), Command::Stop.into());
        assert_eq!(start(&starting, stop).await.unwrap().state, FleetState::Succeeded);
    }

    #[tokio::test]
    async fn a_large_one_is_accepted_and_left_to_the_background() {
        let mut operations = MockOperationStore::new();
        operations
            .expect_accept()
            .once()
            .withf(|operation, lease, _| lease.is_none() && operation.state == FleetState::Pending)
            .returning(|operation, _, _| Ok(operation));
        let starting = starting(MockMachineStore::new(), operations, MockAnswerStore::new());
        let operation = start(&starting, FleetRequest::Create(new(101, "web-{n}"))).await.unwrap();
        assert_eq!(operation.cursor, Cursor::Made(0));
        tokio::time::timeout(Duration::from_secs(1), starting.fleet.accepted.notified()).await.expect("it is told");
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_operation_as_it_is_now() {
        let stop = || FleetWork::Operate(Selector::default(), Command::Stop.into());
        let mut answers = MockAnswerStore::new();
        answers.expect_get().returning(move |key, _| {
            let answer = fixtures::operation(stop()).id.to_string().into_bytes();
            Ok(Some(KeptAnswer { key: key.into(), fingerprint: [1; 32], answer, expires_at: u64::MAX }))
        });
        let mut operations = MockOperationStore::new();
        operations.expect_get().once().returning(move |_| {
            let mut operation = fixtures::operation(stop());
            operation.decided(FleetOutcome::Done);
            Ok(Some(operation))
        });
        let starting = starting(MockMachineStore::new(), operations, answers);
        let key = Some(RequestKey { key: "k".into(), fingerprint: [1; 32] });
        let request = FleetRequest::Operate(Selector::default(), Command::Stop.into());
        let (operation, replayed) = starting.run(request, key, Patience::Small).await.unwrap();
        assert_eq!((operation.progress.done, replayed), (1, true));
    }
}
