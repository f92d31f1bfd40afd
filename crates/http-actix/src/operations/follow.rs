//! Streams of the progress of a fleet operation.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use cloudm_application::Cloud;
use cloudm_application::ports::FleetOperation;
use cloudm_domain::OperationId;
use tokio::time::sleep;

use super::OperationBody;
use crate::problem::Problem;
use crate::stream::{self, Piece, Streams, Told};

/// How often it is looked whether the operation has changed.
const LOOK: Duration = Duration::from_millis(250);

/// Streams the operation now, and whenever it has changed, up to its end.
pub(crate) async fn answer(
    request: &HttpRequest,
    streams: &Streams,
    cloud: Arc<Cloud>,
    id: OperationId,
) -> Result<HttpResponse, Problem> {
    let place = streams.place()?;
    let operation = cloud.get_operation.run(id).await?;
    let first = format!("retry: 1000\n{}", progress(&operation));
    Ok(stream::serve(request, place, first.into(), Progress { cloud, operation }))
}

fn progress(operation: &FleetOperation) -> String {
    let json = serde_json::to_string(&OperationBody::from(operation)).unwrap_or_default();
    format!("event: progress\ndata: {json}\n\n")
}

/// The progress of an operation, told as far as it was when it was last looked at.
struct Progress {
    cloud: Arc<Cloud>,
    operation: FleetOperation,
}

impl Told for Progress {
    async fn next(&mut self) -> Piece {
        while !self.operation.state.is_ended() {
            sleep(LOOK).await;
            let now = match self.cloud.get_operation.run(self.operation.id).await {
                Ok(now) => now,
                Err(error) => return Piece::Last(self.end(stream::reason(&error))),
            };
            if now != self.operation {
                self.operation = now;
                return Piece::More(progress(&self.operation));
            }
        }
        Piece::Last(self.end("ended"))
    }

    fn end(&self, code: &str) -> String {
        format!("event: end\ndata: {{\"code\":\"{code}\"}}\n\n")
    }
}
