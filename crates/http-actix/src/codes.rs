//! The one table of error codes: what the code is, its status, what it means. Answers and documentation are made from
//! it.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal $meaning:literal;)*) => {
        /// What went wrong, as a client tells problems apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code itself, which never changes.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            pub(crate) const fn status_number(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A few words that are the same each time.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it means and what to do.
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    MalformedRequest 400 "malformed_request" "Malformed request" "The request line, a header or the query is not of its form.";
    MalformedJson 400 "malformed_json" "Malformed JSON" "The body is not JSON.";
    MissingBody 400 "missing_body" "Missing body" "The request needs a JSON body.";
    UnexpectedBody 400 "unexpected_body" "Unexpected body" "The request takes no body.";
    InvalidId 400 "invalid_id" "Malformed id" "An id is 24 lower-case hex digits.";
    UnknownParameter 400 "unknown_parameter" "Unknown query parameter" "The route does not know the parameter; nothing was done.";
    DuplicateParameter 400 "duplicate_parameter" "Query parameter given twice" "The parameter may stand once.";
    MissingParameter 400 "missing_parameter" "Missing query parameter" "The route needs the parameter.";
    InvalidParameter 400 "invalid_parameter" "Invalid query parameter" "The parameter's value is not of its form.";
    InvalidPageSize 400 "invalid_page_size" "Page size out of range" "page_size is a whole number from 1 to 1000.";
    InvalidPageToken 400 "invalid_page_token" "Invalid page token" "The token was altered, or belongs to another list, selector or order.";
    InvalidPosition 400 "invalid_position" "Invalid position" "The position is none that a world gives out.";
    UnknownAction 400 "unknown_action" "Unknown action" "The action is not a machine operation.";
    UnknownConstant 400 "unknown_constant" "Unknown constant" "The constant is not one of `constants`.";
    InvalidHeader 400 "invalid_header" "Invalid header" "The header's value is not of its form.";
    NoSuchPath 404 "no_such_path" "No such path" "The API has no such path.";
    NoSuchMachine 404 "no_such_machine" "No such machine" "No machine has this id, or it is forgotten.";
    NoSuchCluster 404 "no_such_cluster" "No such cluster" "No cluster has this id.";
    NoSuchOperation 404 "no_such_operation" "No such operation" "No fleet operation has this id, or it is forgotten: they are kept for 24 hours after their end.";
    NoSuchFault 404 "no_such_fault" "No such fault" "No fault has this id, or it was removed.";
    NoSuchScheduleEntry 404 "no_such_schedule_entry" "No such schedule entry" "The schedule has no entry with this id.";
    NoSuchWorld 404 "no_such_world" "No such world" "The world does not exist, or does not any more.";
    MethodNotAllowed 405 "method_not_allowed" "Method not allowed" "The path does not have the method; Allow lists those it has.";
    RequestTimeout 408 "request_timeout" "Request timeout" "The body did not arrive in time; the connection is closed.";
    NameTaken 409 "name_taken" "Name taken" "Another world, another cluster of the world, or another machine of the cluster has the name.";
    ClusterNotEmpty 409 "cluster_not_empty" "Cluster not empty" "The cluster has machines; end them first.";
    TooManyClusters 409 "too_many_clusters" "Too many clusters" "A world has at most 1000 clusters.";
    TooManyWorlds 409 "too_many_worlds" "Too many worlds" "A store has at most 1000 worlds.";
    DefaultWorld 409 "default_world" "The default world stays" "The world `default` is not deleted; it can be reset.";
    TooManyRules 409 "too_many_rules" "Too many rules" "The rules of a world are changed at most 1000 times; reset it.";
    TooManyMachines 422 "too_many_machines" "Too many machines" "A scenario has at most 10000 machines; make the others by a fleet operation, or write a snapshot.";
    TooManyFaults 409 "too_many_faults" "Too many faults" "At most 100 faults of a world hold at a time; remove one.";
    Announced 409 "announced" "Announced" "Machines were told of it, and what was announced comes to pass.";
    IllegalTransition 409 "illegal_transition" "Illegal transition" "The operation is not possible in the machine's `state`; `allowed_operations` are.";
    OperationInProgress 409 "operation_in_progress" "Operation in progress" "The machine is on its way: `transition` says what is in progress and when it is due.";
    Protected 409 "protected" "Machine is protected" "The machine's protection refuses the operation, forced or not.";
    MachineTerminated 409 "machine_terminated" "Machine is terminated" "A TERMINATED machine cannot be changed.";
    WaitTimeout 409 "wait_timeout" "Wait timed out" "The machine did not come to the state, or the fleet operation to its end, in time; `state` is the one it is in.";
    Unreachable 409 "unreachable" "State is unreachable" "The machine is TERMINATED or forgotten, and will not come to the state.";
    IdempotencyInFlight 409 "idempotency_in_flight" "Request in flight" "A request with this Idempotency-Key is under way; try again.";
    PositionGone 410 "position_gone" "Position gone" "The position is of another world, or of a history that is no more, because the world was reset; list again, and go on from there.";
    VersionMismatch 412 "version_mismatch" "Version mismatch" "The resource has another version than If-Match asks for: `version`.";
    BodyTooLarge 413 "body_too_large" "Body too large" "The body is larger than the API reads.";
    UnsupportedMediaType 415 "unsupported_media_type" "Unsupported media type" "A body is application/json; a PATCH may also be application/merge-patch+json, and a snapshot or an import is application/x-ndjson.";
    UnknownField 422 "unknown_field" "Unknown field" "The body has a field that the request does not know.";
    DuplicateField 422 "duplicate_field" "Field given twice" "The body has a field twice.";
    MissingField 422 "missing_field" "Missing field" "The body lacks a field.";
    WrongType 422 "wrong_type" "Wrong type" "A value of the body has another JSON type than it must.";
    InvalidName 422 "invalid_name" "Invalid name" "A name has 1 to 63 letters, digits, `.`, `_` and `-`, begins with a letter or digit, and is not 24 hex digits.";
    InvalidTags 422 "invalid_tags" "Invalid tags" "A machine has at most 50 tags, none twice, each of 1 to 128 letters, digits and `._-:/=@`.";
    InvalidValue 422 "invalid_value" "Invalid value" "A value of the body is not of its form.";
    UnknownKind 422 "unknown_kind" "Unknown kind" "A fleet operation has no such kind.";
    SelectorNeeded 422 "selector_needed" "Selector needed" "A fleet operation needs a selector that says something, or `all: true`, and not both; nothing was done.";
    InvalidSnapshot 422 "invalid_snapshot" "Invalid snapshot" "The snapshot is not whole, was altered, or is none; `line` is where it is wrong. The world is as it was.";
    UnknownRegion 422 "unknown_region" "Unknown region" "The catalogue has no such region.";
    UnknownMachineType 422 "unknown_machine_type" "Unknown machine type" "The catalogue has no such machine type.";
    UnknownCluster 422 "unknown_cluster" "Unknown cluster" "The world has no cluster of this name.";
    InvalidBehaviour 422 "invalid_behaviour" "Invalid behaviour" "The behaviour makes no sense; `errors` points at every mistake.";
    InvalidCapacity 422 "invalid_capacity" "Invalid capacity" "The capacity makes no sense; `errors` points at the mistake.";
    InvalidFault 422 "invalid_fault" "Invalid fault" "The fault could never do anything, or makes no sense; `errors` points at the mistake.";
    InvalidSchedule 422 "invalid_schedule" "Invalid schedule" "The entry of the schedule makes no sense; `errors` points at the mistake.";
    InThePast 422 "in_the_past" "In the past" "The world's clock never goes back; it says `now`.";
    InTheFuture 422 "in_the_future" "In the future" "The instant is yet to come; the world's clock says `now`.";
    BeforeHistory 422 "before_history" "Before the history" "The world's history begins later, at `start`.";
    TooMuchHistory 422 "too_much_history" "Too much history" "More had happened by then than is walked through for one request; ask for an earlier instant, or read the events.";
    EndOfTime 422 "end_of_time" "End of time" "The world's clock ends before 2106-02-07T06:28:15.999Z.";
    IdempotencyMismatch 422 "idempotency_mismatch" "Idempotency key reused" "The Idempotency-Key was used for another request.";
    Throttled 429 "throttled" "Throttled" "A fault of the world refuses the request for now; try again after Retry-After seconds.";
    Internal 500 "internal" "Internal error" "The server failed; its log has the request under `request_id`.";
    Fault 500 "fault" "Refused by a fault" "A fault of the world refuses it: `fault`. The results of fleet operations have this code; an answer has the code and the status that the fault gives.";
    StoreUnavailable 503 "store_unavailable" "Store unavailable" "The store does not answer. A write may have taken effect: ask, or repeat it with its Idempotency-Key.";
    Settling 503 "settling" "World is settling" "More is due in the world than is settled for one request; try again.";
    OperationsRunning 503 "operations_running" "Fleet operations are running" "The clock waits for the fleet operations that are under way; wait for them, or cancel them, and try again.";
    RegionOutage 503 "region_outage" "Region outage" "The region `region_code` is out, and refuses what is asked of it, until `until` in virtual time.";
    InsufficientCapacity 503 "insufficient_capacity" "Insufficient capacity" "The pool of the machine's type in its region has no place left: `region_code`, `machine_type`.";
    TooManyOperations 503 "too_many_operations" "Too many operations" "A world has at most 100 fleet operations that have not ended; wait for one, or cancel one.";
    SettleLimit 503 "settle_limit" "Too much happened" "More happened to a machine than is walked through for one request; try again.";
    Contention 503 "contention" "Contention" "Too many others are changing the resource; try again.";
    TooManySubscribers 503 "too_many_subscribers" "Too many subscribers" "As many streams are open as the server has room for; try again.";
    TooManySnapshots 503 "too_many_snapshots" "Too many snapshots" "As many snapshots are on their way as the server has room for; try again.";
    TooManyTransfers 503 "too_many_transfers" "Too many transfers" "As many exports and imports are on their way as the server has room for; try again.";
    NotReady 503 "not_ready" "Not ready" "The server is draining, or its store does not answer.";
}

impl Code {
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code for an error status that something outside the API answered with.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NoSuchPath,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            400..=499 => Self::MalformedRequest,
            _ => Self::Internal,
        }
    }
}

/// The URI that names the kind of problem that has this code.
pub(crate) fn type_uri(code: &str) -> String {
    format!("urn:cloudm:problem:{code}")
}

/// The table in Markdown, for the description of the API.
pub(crate) fn markdown() -> String {
    let mut text = String::from("| code | status | meaning |\n| --- | --- | --- |\n");
    for code in Code::ALL {
        text.push_str(&format!("| `{}` | {} | {} |\n", code.text(), code.status_number(), code.meaning()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_and_has_an_error_status() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.status().as_u16(), code.status_number());
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
        }
    }
}
