use std::io::{self, Write};

use longshore_fleet::{
    FetchState,
    api::{FetchView, OperationView},
};

use crate::output::{ByteCount, Sheet};

/// Writes how far each image is on each node.
pub fn write_fetches(out: &mut impl Write, operation: &OperationView) -> io::Result<()> {
    let rows = operation.nodes.iter().flat_map(|(node, fetches)| {
        fetches.iter().map(move |fetch| {
            let bytes = format!("{} of {}", ByteCount(fetch.bytes_done), ByteCount(fetch.bytes_total));
            vec![node.to_string(), fetch.image.to_string(), fetch_state(fetch), bytes]
        })
    });
    Sheet::new(vec!["NODE", "IMAGE", "STATE", "BYTES"]).write(out, rows)
}

/// How far an image is.
fn fetch_state(fetch: &FetchView) -> String {
    let word = match fetch.state {
        FetchState::Waiting => "waiting",
        FetchState::Fetching => "fetching",
        FetchState::Done => "done",
        FetchState::Failed => "failed",
    };
    match &fetch.message {
        Some(message) => format!("{word}: {message}"),
        None => word.to_owned(),
    }
}
