//! Fleet operations: one request over many machines, each of which is decided on its own.
//!
//! A request is validated, accepted and kept before anything is done ([`StartOperation`]). Then it is worked off batch by batch
//! (`Fleet`), by whichever server holds its lease, in the order of creation: every machine that matches is decided, and what came
//! of it is written with the machine. So a server that dies leaves an operation that another one takes up where it was, and no
//! machine is operated twice.

mod cancel;
mod create;
mod decide;
mod delete_cluster;
mod fleet;
mod get;
mod list;
mod results;
mod run;
mod start;
mod wait;
mod walk;

pub use cancel::CancelOperation;
pub(crate) use fleet::Fleet;
pub use get::GetOperation;
pub use list::{ListOperations, OperationList};
pub use results::{OperationResults, ResultList, ResultView};
pub(crate) use run::run;
pub use start::{FleetRequest, NewFleet, Patience, StartOperation};
pub use wait::WaitForOperation;
