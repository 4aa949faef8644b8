use longshore_fleet::{
    FetchState,
    api::{FetchView, OperationState, OperationView},
};

use super::{Column, Kind, Named, Shown, age, always, or_nothing, wide};
use crate::output::ByteCount;

impl Shown for OperationView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("OPERATION", |operation, _| operation.operation_id.to_string()),
        always("STATE", |operation, _| state(operation.state).to_owned()),
        always("IMAGES", |operation, _| operation.request.images.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        always("NODES", |operation, _| format!("{}/{}", nodes_done(operation), operation.nodes.len())),
        always("BYTES", |operation, _| format!("{} of {}", ByteCount(operation.bytes_done), ByteCount(operation.bytes_total))),
        always("AGE", |operation, now| age(now, operation.created_at)),
        wide("ENDED", |operation, now| or_nothing(operation.ended_at.map(|ended| age(now, ended)))),
    ];
}

impl Named for OperationView {
    const KIND: Kind = Kind::Operation;
}

/// How many nodes have all of it.
pub fn nodes_done(operation: &OperationView) -> usize {
    let is_done = |fetches: &&Vec<FetchView>| fetches.iter().all(|fetch| fetch.state == FetchState::Done);
    operation.nodes.values().filter(is_done).count()
}

/// How it is, in a word.
pub fn state(state: OperationState) -> &'static str {
    match state {
        OperationState::Running => "running",
        OperationState::Succeeded => "succeeded",
        OperationState::Failed => "failed",
        OperationState::Cancelled => "cancelled",
    }
}
