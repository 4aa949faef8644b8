//! What the disk has, and what is charged for it.

use std::os::unix::fs::MetadataExt;

use super::*;

/// What a file system may take for a file beside its content.
const OVERHEAD_BYTES: u64 = 64 << 10;

impl Bed {
    fn bytes_on_disk(&self, blob: &Blob) -> u64 {
        fs::metadata(self.store.shared.folder.blob(&blob.digest)).unwrap().blocks() * 512
    }

    fn damage(&self, blob: &Blob, at: u64) {
        let path = self.store.shared.folder.blob(&blob.digest);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at as usize] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_piece_is_counted_once_and_leaves_the_disk() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 3 * PIECE_BYTES);
    let entry = bed.keep(&blob).await;
    bed.damage(&blob, PIECE_BYTES);
    let read = || entry.read(PieceIndex(1));
    let (one, two, three) = tokio::join!(read(), read(), read());
    assert!([one, two, three].iter().all(Result::is_err));
    assert_eq!(bed.store.shared.metrics.damaged.get(), 1);
    assert_eq!(bed.store.usage().disk_bytes, 2 * PIECE_BYTES);
    assert!(bed.bytes_on_disk(&blob) <= 2 * PIECE_BYTES + OVERHEAD_BYTES);
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    assert_eq!(bed.store.scrub().await.damaged_pieces, 0);
    assert_eq!(bed.store.usage().disk_bytes, 3 * PIECE_BYTES);
}

#[tokio::test]
async fn what_was_not_noted_before_a_crash_leaves_the_disk() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 4 * PIECE_BYTES + 9);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    bed.store.flush().await.unwrap();
    for piece in [0, 2, 4] {
        entry.write(PieceIndex(piece), blob.piece(piece)).await.unwrap();
    }
    let crashed = bed.after_crash();
    assert_eq!(crashed.store.usage().disk_bytes, PIECE_BYTES);
    assert!(crashed.bytes_on_disk(&blob) <= PIECE_BYTES + OVERHEAD_BYTES);
    assert_eq!(crashed.store.scrub().await.damaged_pieces, 0);
}

#[tokio::test]
async fn a_full_disk_takes_no_more_than_it_must() {
    let bed = Bed::new(16 * PIECE_BYTES);
    drop(bed.keep(&Blob::new(1, 6 * PIECE_BYTES)).await);
    let coming = bed.store.receive(&Blob::new(2, 1).digest, 8 * PIECE_BYTES).await.unwrap();
    bed.store.shared.note_full_disk(PIECE_BYTES);
    assert_eq!(bed.store.shared.state().excess(0), 4 << 20, "not all that is set aside");
    drop(coming);
}

#[tokio::test]
async fn it_is_told_whether_the_quota_or_the_disk_is_full() {
    let (first, second) = (Blob::new(1, 6 * PIECE_BYTES), Blob::new(2, PIECE_BYTES));
    for quota_pieces in [6, 16] {
        let bed = Bed::new(quota_pieces * PIECE_BYTES);
        let _in_use = bed.keep(&first).await;
        let entry = bed.store.begin(&second.digest, second.size(), second.hashes()).await.unwrap();
        if quota_pieces > 6 {
            bed.store.shared.note_full_disk(PIECE_BYTES);
        }
        let error = entry.write(PieceIndex(0), second.piece(0)).await.unwrap_err();
        assert!(error.is_no_room() && error.is_disk_full() == (quota_pieces > 6), "{error}");
    }
    let bed = Bed::new(6 * PIECE_BYTES);
    bed.store.shared.note_full_disk(PIECE_BYTES);
    let error = bed.store.receive(&second.digest, 7 * PIECE_BYTES).await.unwrap_err();
    assert!(matches!(error, StoreError::NoRoom { .. }), "no disk would do: {error}");
}

#[tokio::test]
async fn a_scrub_keeps_nothing_from_being_dropped() {
    let bed = Bed::with(2 * PIECE_BYTES, |settings| settings.scrub_bytes_per_second = 1);
    let (scrubbed, new) = (Blob::new(1, 2 * PIECE_BYTES), Blob::new(2, PIECE_BYTES));
    drop(bed.keep(&scrubbed).await);
    let scrub = |store: Store| tokio::spawn(async move { store.scrub().await });
    let scrubs = [scrub(bed.store.clone()), scrub(bed.store.clone())];
    while bed.store.shared.metrics.scrubbed_bytes.get() < PIECE_BYTES {
        tokio::task::yield_now().await;
    }
    drop(bed.keep(&new).await);
    assert!(bed.store.peek(&scrubbed.digest).is_none());
    assert_eq!(bed.store.shared.metrics.scrubbed_bytes.get(), PIECE_BYTES, "the rate is for both together");
    for scrub in scrubs {
        scrub.abort();
    }
}
