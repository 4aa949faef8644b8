use super::*;

#[tokio::test]
async fn a_crash_leaves_what_was_synced_and_nothing_else() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 3 * PIECE_BYTES);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    entry.write(PieceIndex(0), blob.piece(0)).await.unwrap();
    assert!(bed.after_crash().store.peek(&blob.digest).is_none(), "nothing was synced");
    bed.store.flush().await.unwrap();
    entry.write(PieceIndex(2), blob.piece(2)).await.unwrap();
    let crashed = bed.after_crash();
    let found = crashed.store.peek(&blob.digest).unwrap();
    assert!(found.has(PieceIndex(0)) && !found.has(PieceIndex(2)));
    assert_eq!(found.read(PieceIndex(0)).await.unwrap(), blob.piece(0));
    assert_eq!(crashed.store.usage().disk_bytes, PIECE_BYTES);
}

#[tokio::test]
async fn files_without_rows_and_rows_without_files_go() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let (noted, unnoted) = (Blob::new(1, 10), Blob::new(2, 10));
    drop(bed.keep(&noted).await);
    bed.store.flush().await.unwrap();
    drop(bed.keep(&unnoted).await);
    let receiving = bed.store.receive(&Blob::new(3, 10).digest, 10).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy(bed.folder.path(), folder.path());
    drop(receiving);
    let path_in = |blob: &Blob| folder.path().join("blobs/sha256").join(&blob.digest.hex()[..2]).join(blob.digest.hex());
    assert!(path_in(&noted).exists() && path_in(&unnoted).exists());
    fs::remove_file(path_in(&noted)).unwrap();
    let store = open(folder.path(), 16 * PIECE_BYTES).unwrap();
    assert!(store.page("", 1).0.is_empty() && !path_in(&unnoted).exists());
    assert_eq!(fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0);
}
