//! What came of a prewarming, for people.

use std::io::{self, Write};

use longshore_client::{Operation, OperationImage, OperationState};

use crate::output::{ByteCount, NOTHING, Table, printable};

/// A row for each image.
pub fn write(out: &mut impl Write, operation: &Operation) -> io::Result<()> {
    let rows = operation.images.iter().map(|image| {
        let digest = image.digest.as_ref().map_or_else(|| NOTHING.to_owned(), ToString::to_string);
        let size = ByteCount(image.bytes_total).to_string();
        let state = match (image.state, &image.error) {
            (OperationState::Failed, Some(error)) => format!("failed: {error}"),
            (state, _) => word(state).to_owned(),
        };
        [image.image.clone(), digest, size, state]
    });
    Table::new(["IMAGE", "DIGEST", "SIZE", "STATE"]).write(out, rows.collect())
}

/// What came of an image, in a line.
pub fn line(image: &OperationImage) -> String {
    let name = printable(&image.image);
    match (image.state, &image.error) {
        (OperationState::Done, _) => format!("{name}: done, {} in {} pieces", ByteCount(image.bytes_total), image.pieces_total),
        (state, Some(error)) => format!("{name}: {}: {}", word(state), printable(error)),
        (state, None) => format!("{name}: {}", word(state)),
    }
}

/// Whether nothing more happens to an image.
pub fn is_over(image: &OperationImage) -> bool {
    matches!(image.state, OperationState::Done | OperationState::Failed | OperationState::Cancelled)
}

/// The state in a word.
pub fn word(state: OperationState) -> &'static str {
    match state {
        OperationState::Waiting => "waiting",
        OperationState::Resolving => "looking",
        OperationState::Running => "fetching",
        OperationState::Done => "done",
        OperationState::Failed => "failed",
        OperationState::Cancelled => "cancelled",
        OperationState::Unknown => NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(state: OperationState, error: Option<&str>) -> OperationImage {
        OperationImage {
            image: "alpine:3.20".to_owned(),
            state,
            digest: None,
            bytes_done: 3_800_000,
            bytes_total: 3_800_000,
            pieces_done: 4,
            pieces_total: 4,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn says_what_came_of_an_image() {
        assert_eq!(line(&image(OperationState::Done, None)), "alpine:3.20: done, 3.6 MiB in 4 pieces");
        let failed = image(OperationState::Failed, Some("no such\u{1b}[2J manifest"));
        assert_eq!(line(&failed), "alpine:3.20: failed: no such\u{fffd}[2J manifest");
        assert_eq!(line(&image(OperationState::Cancelled, None)), "alpine:3.20: cancelled");
        assert!(is_over(&failed) && !is_over(&image(OperationState::Running, None)));
    }
}
