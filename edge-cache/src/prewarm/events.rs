//! An operation as server-sent events (HTML, section 9.2): how it is, whenever that changes, until it is over.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::operation::Operation;

/// How often something is told.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long it is between two events at least.
    pub pause: Duration,
    /// After how long without a change a comment is sent, so that nobody between takes the connection for dead.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pause: Duration::from_millis(200), silence: Duration::from_secs(15) }
    }
}

/// What is still to be told.
struct Telling {
    operation: Arc<Operation>,
    changed: watch::Receiver<()>,
    is_first: bool,
    is_over: bool,
    pace: Pace,
    _room: OwnedSemaphorePermit,
}

/// The events of an operation: how it is now, then each change, and at last how it ended.
pub fn of(
    operation: Arc<Operation>,
    pace: Pace,
    room: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let changed = operation.watch();
    let telling = Telling { operation, changed, is_first: true, is_over: false, pace, _room: room };
    stream::unfold(telling, |mut telling| async move { telling.next().await.map(|bytes| (Ok(bytes), telling)) })
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if !self.is_first {
            match tokio::time::timeout(self.pace.silence, self.changed.changed()).await {
                Err(_) => return Some(Bytes::from_static(b": still at it\n\n")),
                // What comes in quick succession is told together; the end is told at once.
                Ok(_) if !self.operation.is_over() => tokio::time::sleep(self.pace.pause).await,
                Ok(_) => {}
            }
        }
        self.is_first = false;
        self.changed.mark_unchanged();
        let view = self.operation.view();
        self.is_over = view.ended_at.is_some();
        Some(event(&*view))
    }
}

/// An event named `operation`, whose data is JSON on one line.
fn event(value: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(value).expect("what we answer is always JSON");
    format!("event: operation\ndata: {json}\n\n").into()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use jiff::Timestamp;
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        blobs::Fetched,
        prewarm::{operation::State, wish::Wish},
    };

    fn state(bytes: &Bytes) -> (String, u64) {
        let text = std::str::from_utf8(bytes).unwrap();
        let data = text.strip_prefix("event: operation\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(data).unwrap();
        (json["state"].as_str().unwrap().to_owned(), json["bytesDone"].as_u64().unwrap())
    }

    #[tokio::test]
    async fn tells_each_change_and_the_end() {
        let wish = Wish { images: vec!["a\nb".to_owned()], platforms: vec![], pin: None, deadline: None };
        let operation = Arc::new(Operation::new(wish, Timestamp::UNIX_EPOCH, &CancellationToken::new()));
        let room = Arc::new(Semaphore::new(1));
        let pace = Pace { pause: Duration::from_millis(20), silence: Duration::from_millis(100) };
        let mut events = Box::pin(of(operation.clone(), pace, room.clone().try_acquire_owned().unwrap()));
        assert_eq!(state(&events.next().await.unwrap().unwrap()), ("running".to_owned(), 0));
        assert_eq!(events.next().await.unwrap().unwrap(), ": still at it\n\n");
        let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, b"");
        operation.resolved(0, None, vec![(digest.clone(), Fetched::nothing_of(7))]);
        operation.fetched(&digest, Fetched::all_of(7));
        assert_eq!(state(&events.next().await.unwrap().unwrap()), ("running".to_owned(), 7), "both changes are one event");
        operation.image_ended(0, Ok(()));
        assert_eq!(operation.ended(None, Timestamp::UNIX_EPOCH), State::Done);
        assert_eq!(state(&events.next().await.unwrap().unwrap()), ("done".to_owned(), 7));
        assert!(events.next().await.is_none());
        drop(events);
        assert_eq!(room.available_permits(), 1);
    }
}
