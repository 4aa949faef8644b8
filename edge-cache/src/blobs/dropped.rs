//! Forgets who had what was dropped: a note of that takes memory, and a place among the records.

use std::sync::Weak;

use longshore_oci::Digest;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Shared;

/// Takes note of what the store drops, for as long as anybody has the blobs.
pub async fn take_note(shared: Weak<Shared>, mut dropped: Receiver<Digest>) {
    loop {
        let told = dropped.recv().await;
        let Some(shared) = shared.upgrade() else { return };
        match told {
            Ok(digest) => shared.forget_dropped(&digest).await,
            // More were dropped at once than were waited for: all are looked over.
            Err(RecvError::Lagged(_)) => {
                let looking = shared.clone();
                let found = tokio::task::spawn_blocking(move || looking.provenance.of_nothing()).await;
                for digest in found.unwrap_or_default() {
                    shared.forget_dropped(&digest).await;
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}
