use super::*;

/// The bytes from a place on, at most so many; none at the end.
async fn read_at(follower: &mut Follower, at: u64, most: usize) -> Result<Bytes, ReadError> {
    let bytes = match follower.find(at).await? {
        There::Bytes(bytes) => bytes,
        There::Written(written) => {
            let skipped = usize::try_from(at - written.range().start).unwrap();
            written.read().await?.slice(skipped..)
        }
    };
    Ok(bytes.slice(..most.min(bytes.len())))
}

async fn read_all(mut follower: Follower) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    loop {
        let more = read_at(&mut follower, bytes.len() as u64, 100_000).await?;
        if more.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&more);
    }
}

#[tokio::test]
async fn readers_follow_the_writer() {
    for size in [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 9] {
        let bed = Bed::new(16 * PIECE_BYTES);
        let blob = Blob::new(1, size);
        let mut receiving = bed.store.receive(&blob.digest, size).await.unwrap();
        let early = tokio::spawn(read_all(receiving.follow()));
        for chunk in blob.bytes.chunks(70_001) {
            receiving.append(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let late = tokio::spawn(read_all(receiving.follow()));
        let entry = receiving.finish().await.unwrap();
        assert_eq!(early.await.unwrap().unwrap(), blob.bytes);
        assert_eq!(late.await.unwrap().unwrap(), blob.bytes);
        assert!(entry.is_complete() && *entry.hashes() == blob.hashes());
        bed.store.flush().await.unwrap();
        drop(entry);
        let usage = bed.store.usage();
        assert_eq!((usage.disk_bytes, usage.reserved_bytes), (size.next_multiple_of(4096), 0));
        let again = bed.after_crash();
        assert!(again.store.entry(&blob.digest).unwrap().is_complete());
        assert_eq!(again.store.scrub().await.damaged_pieces, 0);
    }
}

#[tokio::test]
async fn a_wrong_blob_is_never_read_to_its_end() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES + 9);
    let mut receiving = bed.store.receive(&Blob::new(2, 1).digest, blob.size()).await.unwrap();
    let mut follower = receiving.follow();
    receiving.append(blob.bytes.clone()).await.unwrap();
    assert_eq!(read_at(&mut follower, PIECE_BYTES, 5).await.unwrap(), blob.piece(1).slice(..5));
    let last = tokio::spawn(async move { read_at(&mut follower, 2 * PIECE_BYTES, 5).await });
    assert!(matches!(receiving.finish().await, Err(StoreError::Mismatch { .. })));
    assert!(matches!(last.await.unwrap(), Err(ReadError::Aborted(_))));
    assert_eq!(bed.store.usage(), Usage { quota_bytes: 16 * PIECE_BYTES, ..Usage::default() });
    assert_eq!(bed.store.shared.metrics.mismatched.get(), 1);
}

#[tokio::test]
async fn a_writer_that_leaves_tells_its_readers_and_leaves_nothing() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    assert_eq!(bed.store.usage().reserved_bytes, blob.size());
    receiving.append(blob.piece(0)).await.unwrap();
    let (path, mut follower) = (receiving.path_for_tests().to_owned(), receiving.follow());
    assert!(path.exists());
    assert!(!follower.is_aborted());
    drop(receiving);
    assert!(follower.is_aborted());
    assert!(matches!(read_at(&mut follower, 0, 1).await, Err(ReadError::Aborted(_))));
    while bed.store.usage().reserved_bytes > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!path.exists(), "its room is free when the disk is");

    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    assert!(matches!(receiving.append(vec![0_u8; 3 << 20].into()).await, Err(StoreError::Length { .. })));
    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    receiving.append(blob.piece(0)).await.unwrap();
    assert!(matches!(receiving.finish().await, Err(StoreError::Length { .. })));
}

#[tokio::test]
async fn what_has_come_is_told_by_hashes() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    let follower = receiving.follow();
    assert!(follower.came().await.is_empty());
    let part = blob.piece(1).slice(..1000);
    receiving.append(blob.piece(0)).await.unwrap();
    receiving.append(part.slice(..700)).await.unwrap();
    receiving.append(part.slice(700..)).await.unwrap();
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    assert_eq!(follower.came().await, [(PIECE_BYTES, hash(&blob.piece(0))), (PIECE_BYTES + 1000, hash(&part))]);
}

#[tokio::test]
async fn a_whole_blob_takes_the_place_of_its_pieces() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 3 * PIECE_BYTES);
    let wrong = Blob::new(9, 3 * PIECE_BYTES);
    for hashes in [blob.hashes(), wrong.hashes()] {
        bed.store.evict(&blob.digest).await.unwrap();
        let is_wrong = hashes != blob.hashes();
        let held = bed.store.begin(&blob.digest, blob.size(), hashes).await.unwrap();
        held.write(PieceIndex(1), if is_wrong { wrong.piece(1) } else { blob.piece(1) }).await.unwrap();
        bed.store.flush().await.unwrap();
        let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
        receiving.append(blob.bytes.clone()).await.unwrap();
        let entry = receiving.finish().await.unwrap();
        assert_eq!(Arc::ptr_eq(&held, &entry), !is_wrong);
        assert_eq!(entry.read(PieceIndex(0)).await.unwrap(), blob.piece(0));
        assert_eq!(bed.store.usage().disk_bytes, blob.size());
        assert_eq!(bed.after_crash().store.scrub().await.damaged_pieces, 0);
    }
}
