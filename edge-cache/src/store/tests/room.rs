use super::*;

#[tokio::test]
async fn the_least_asked_for_goes_and_the_pinned_stays() {
    let bed = Bed::new(4 * PIECE_BYTES);
    let blobs: Vec<Blob> = (0..6).map(|seed| Blob::new(seed, PIECE_BYTES)).collect();
    for blob in &blobs[..4] {
        bed.keep(blob).await;
    }
    bed.store.pin(pin_of("me", &blobs[0])).await.unwrap();
    for _ in 0..3 {
        bed.store.entry(&blobs[1].digest).unwrap();
    }
    bed.keep(&blobs[4]).await;
    bed.keep(&blobs[5]).await;
    let here: Vec<bool> = blobs.iter().map(|blob| bed.store.peek(&blob.digest).is_some()).collect();
    assert_eq!(here, [true, true, false, false, true, true]);
    assert_eq!(bed.store.usage().disk_bytes, 4 * PIECE_BYTES);
    assert!(!bed.store.shared.folder.blob(&blobs[2].digest).exists());
}

#[tokio::test]
async fn without_room_a_write_is_refused() {
    let bed = Bed::new(2 * PIECE_BYTES);
    let (first, second) = (Blob::new(1, 2 * PIECE_BYTES), Blob::new(2, PIECE_BYTES));
    let held = bed.keep(&first).await;
    let entry = bed.store.begin(&second.digest, second.size(), second.hashes()).await.unwrap();
    assert!(entry.write(PieceIndex(0), second.piece(0)).await.unwrap_err().is_no_room(), "the first is in use");
    drop(held);
    entry.write(PieceIndex(0), second.piece(0)).await.unwrap();
    assert!(bed.store.peek(&first.digest).is_none());
    let large = Blob::new(3, 2 * PIECE_BYTES + 1);
    assert!(bed.store.begin(&large.digest, large.size(), large.hashes()).await.unwrap_err().is_no_room());
    assert!(bed.store.receive(&large.digest, large.size()).await.unwrap_err().is_no_room());
    assert_eq!(bed.store.usage().reserved_bytes, 0);
}

#[tokio::test]
async fn where_nothing_may_go_it_is_not_looked_for_before_something_changes() {
    let bed = Bed::new(2 * PIECE_BYTES);
    let (first, second) = (Blob::new(1, 2 * PIECE_BYTES), Blob::new(2, PIECE_BYTES));
    let held = bed.keep(&first).await;
    let entry = bed.store.begin(&second.digest, second.size(), second.hashes()).await.unwrap();
    let is_known = || bed.store.shared.state().is_known_short_of(1);
    assert!(!is_known());
    assert!(entry.write(PieceIndex(0), second.piece(0)).await.unwrap_err().is_no_room());
    assert!(is_known());
    drop(held);
    assert!(!is_known(), "it is not in use any more");
    bed.store.pin(pin_of("me", &first)).await.unwrap();
    assert!(entry.write(PieceIndex(0), second.piece(0)).await.unwrap_err().is_no_room());
    assert!(is_known());
    assert!(bed.store.unpin("me", &first.digest).await.unwrap());
    assert!(!is_known(), "it is not pinned any more");
    entry.write(PieceIndex(0), second.piece(0)).await.unwrap();
}

#[tokio::test]
async fn pins_are_within_the_quota_and_last() {
    let bed = Bed::new(3 * PIECE_BYTES);
    let (first, second) = (Blob::new(1, 2 * PIECE_BYTES), Blob::new(2, 2 * PIECE_BYTES));
    bed.store.pin(pin_of("a", &first)).await.unwrap();
    bed.store.pin(pin_of("b", &first)).await.unwrap();
    let refused = bed.store.pin(pin_of("a", &second)).await;
    assert!(matches!(refused, Err(StoreError::PinsExceedQuota { pinned_bytes, .. }) if pinned_bytes == 4 * PIECE_BYTES));
    assert!(bed.store.unpin("a", &first.digest).await.unwrap() && !bed.store.unpin("a", &first.digest).await.unwrap());
    bed.keep(&first).await;
    assert!(matches!(bed.store.evict(&first.digest).await, Err(StoreError::Pinned { owner, .. }) if owner == "b"));
    let later = bed.after_crash();
    assert_eq!(later.store.pins(), bed.store.pins());
    assert_eq!(later.store.pins().len(), 1);
    let ended = Pin { expires_at: Some(Timestamp::UNIX_EPOCH), ..pin_of("b", &first) };
    bed.store.pin(ended).await.unwrap();
    assert!(bed.store.pins().is_empty());
    assert_eq!(bed.store.usage().pinned_bytes, 0, "before anybody looks for what has ended");
    assert!(bed.store.evict(&first.digest).await.unwrap());
    bed.store.pin(pin_of("a", &second)).await.unwrap();
}

#[tokio::test]
async fn a_dropped_blob_is_gone_for_its_readers_and_can_come_back() {
    let bed = Bed::new(8 * PIECE_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let held = bed.keep(&blob).await;
    bed.store.flush().await.unwrap();
    assert!(bed.store.evict(&blob.digest).await.unwrap() && !bed.store.evict(&blob.digest).await.unwrap());
    assert_eq!(bed.store.usage().disk_bytes, 0);
    assert!(matches!(held.read(PieceIndex(0)).await, Err(ReadError::Missing { .. })));
    let again = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    assert!(!again.has(PieceIndex(0)));
    again.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    let crashed = bed.after_crash();
    assert!(crashed.store.peek(&blob.digest).is_none(), "the old bits are not those of the new file");
}

#[tokio::test]
async fn the_cold_are_swept_and_too_many_are_not_kept() {
    let bed = Bed::with(8 * PIECE_BYTES, |settings| {
        settings.max_idle = Some(Duration::ZERO);
        settings.max_entries = 2;
    });
    for seed in 0..3 {
        bed.keep(&Blob::new(seed, 10)).await;
    }
    assert_eq!(bed.store.usage().entries, 2);
    bed.store.pin(pin_of("me", &Blob::new(2, 10))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    bed.store.shared.keep_house().unwrap();
    let left: Vec<Digest> = bed.store.page("", usize::MAX).0.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(left, [Blob::new(2, 10).digest]);
}
