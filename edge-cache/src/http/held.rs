//! A body that is in memory, though for no longer than a client has to take it.

use std::{io, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// As much as is handed out at once, in bytes. What is no longer is as cheap as the connection that it goes to.
const CHUNK_BYTES: usize = 64 << 10;
/// How long a client has, whatever there is to take.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes it has a second more for.
const BYTES_PER_SECOND: usize = 256 << 10;

/// These bytes, which take this room. It breaks off where a client takes them slower than 256 KiB/s for longer than half a minute.
pub fn body(bytes: Bytes, room: OwnedSemaphorePermit) -> Body {
    let seconds = u64::try_from(bytes.len() / BYTES_PER_SECOND).unwrap_or(u64::MAX);
    within(bytes, room, LEAST_PATIENCE.saturating_add(Duration::from_secs(seconds)))
}

fn within(bytes: Bytes, room: OwnedSemaphorePermit, patience: Duration) -> Body {
    if bytes.len() <= CHUNK_BYTES {
        return Body::from(bytes);
    }
    let (sender, receiver) = mpsc::channel(1);
    let left = bytes.len();
    tokio::spawn(async move {
        let _room = room;
        let hand_out = async {
            // Copies, so that what a client is slow to take keeps no more than itself.
            for chunk in bytes.chunks(CHUNK_BYTES) {
                if sender.send(Bytes::copy_from_slice(chunk)).await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, hand_out).await.ok();
    });
    let next = |(mut receiver, left): (mpsc::Receiver<Bytes>, usize)| async move {
        if left == 0 {
            return None;
        }
        let Some(chunk) = receiver.recv().await else {
            return Some((Err(io::Error::from(io::ErrorKind::TimedOut)), (receiver, 0)));
        };
        let left = left - chunk.len();
        Some((Ok(chunk), (receiver, left)))
    };
    Body::from_stream(stream::unfold((receiver, left), next))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use longshore_service::budget::Budget;

    use super::*;

    #[tokio::test]
    async fn is_let_go_by_who_takes_it_and_by_who_does_not() {
        let room = Budget::new(1 << 20, Duration::from_secs(20));
        let bytes = Bytes::from(vec![7; 1_000_000]);
        let all = body(bytes.clone(), room.take(1 << 20).await.unwrap());
        assert_eq!(all.collect().await.unwrap().to_bytes(), bytes);
        let slow = within(bytes.clone(), room.take(1 << 20).await.unwrap(), Duration::from_millis(50));
        let small = body(bytes.slice(..100), room.take(1 << 20).await.unwrap());
        assert!(slow.collect().await.is_err(), "it is not taken for the whole");
        let all = body(bytes, room.take(1 << 20).await.unwrap());
        assert_eq!(small.collect().await.unwrap().to_bytes(), vec![7; 100]);
        drop(all);
        assert!(room.take(1 << 20).await.is_ok());
    }
}
