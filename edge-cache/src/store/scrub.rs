use std::time::Duration;

use longshore_oci::Digest;
use tokio::time::{Instant, sleep_until};

use super::{Store, error::ReadError, shared::locked};
use crate::piece::PieceIndex;

/// How many damaged pieces a report names.
const MOST_NAMED: usize = 1000;

/// What a look at all that is here has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScrubReport {
    /// How many blobs were looked at.
    pub entries: u64,
    /// How many of their pieces.
    pub pieces: u64,
    /// How many bytes were read and right.
    pub bytes: u64,
    /// How many pieces were damaged. They are not here any more.
    pub damaged_pieces: u64,
    /// How many could not be read.
    pub unreadable_pieces: u64,
    /// Those that were damaged, or the first thousand of them.
    pub damaged: Vec<(Digest, PieceIndex)>,
}

impl Store {
    /// Reads everything again, from the disk, with all others who do so no faster than the settings say (with a rate of 0: as
    /// fast as it goes).
    pub async fn scrub(&self) -> ScrubReport {
        let digests: Vec<Digest> = self.shared.state().entries.keys().cloned().collect();
        let mut report = ScrubReport::default();
        for digest in digests {
            let Some((geometry, present)) = self.peek(&digest).map(|entry| (entry.geometry(), entry.present())) else { continue };
            report.entries += 1;
            for piece in (0..geometry.pieces()).map(PieceIndex).filter(|piece| present.contains(*piece)) {
                let range = geometry.bytes_of(piece);
                sleep_until(self.scrub_turn(range.end - range.start)).await;
                // Not held meanwhile, for what is held is not dropped to make room.
                let Some(entry) = self.peek(&digest) else { break };
                let read = entry.read_again(piece).await;
                let is_damaged = matches!(read, Err(ReadError::Damaged { .. }));
                report.count(&digest, piece, range.end - range.start, &read.map(drop));
                if is_damaged && !entry.is_unkept() {
                    // What was lost with it is not read: it is missing now.
                    let lost = |later: &PieceIndex| present.contains(*later) && !entry.has(*later);
                    for later in (piece.0 + 1..geometry.pieces()).map(PieceIndex).filter(lost) {
                        report.count(&digest, later, 0, &Err(ReadError::Damaged { digest: digest.clone(), piece: later }));
                    }
                }
                self.shared.metrics.scrubbed_bytes.inc_by(range.end - range.start);
            }
        }
        report
    }

    /// When so many bytes may be read, by all who scrub at once together.
    fn scrub_turn(&self, bytes: u64) -> Instant {
        let mut next = locked(&self.shared.next_scrub);
        let now = Instant::now();
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.scrub_time(bytes));
        turn
    }

    fn scrub_time(&self, bytes: u64) -> Duration {
        let rate = self.shared.settings.scrub_bytes_per_second;
        let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
        if rate == 0 { Duration::ZERO } else { Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)) }
    }
}

impl ScrubReport {
    fn count(&mut self, digest: &Digest, piece: PieceIndex, bytes: u64, read: &Result<(), ReadError>) {
        match read {
            Ok(()) => {
                self.pieces += 1;
                self.bytes += bytes;
            }
            Err(ReadError::Damaged { .. }) => {
                self.pieces += 1;
                self.damaged_pieces += 1;
                if self.damaged.len() < MOST_NAMED {
                    self.damaged.push((digest.clone(), piece));
                }
            }
            // Dropped meanwhile.
            Err(ReadError::Missing { .. }) => {}
            Err(ReadError::Io { .. } | ReadError::Aborted(_)) => {
                self.pieces += 1;
                self.unreadable_pieces += 1;
            }
        }
    }
}
