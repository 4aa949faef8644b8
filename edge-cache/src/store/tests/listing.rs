use super::*;

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let mut all: Vec<Digest> = Vec::new();
    for seed in 0..7 {
        let blob = Blob::new(seed, 10);
        drop(bed.keep(&blob).await);
        all.push(blob.digest);
    }
    all.sort();
    let (mut seen, mut after) = (Vec::new(), String::new());
    for lengths in [3, 3, 1] {
        let (entries, last) = bed.store.page(&after, 3);
        assert_eq!((entries.len(), last.is_none()), (lengths, lengths == 1));
        seen.extend(entries.into_iter().map(|entry| entry.digest));
        after = seen.last().unwrap().to_string();
        assert!(last.is_none_or(|last| last.as_str() == after));
    }
    assert_eq!(seen, all);
    assert_eq!(bed.store.page(&after, 3), (Vec::new(), None));
    assert_eq!(bed.store.page("sha256", 7).0.len(), 7, "any text will do");
    let (entries, last) = bed.store.page("", 7);
    assert_eq!((entries.len(), last), (7, None), "there is no empty page after the last");
}

#[tokio::test]
async fn a_page_tells_what_is_here_and_whose() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, PIECE_BYTES + 10);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    for owner in ["b", "a"] {
        bed.store.pin(pin_of(owner, &blob)).await.unwrap();
    }
    let ended = Pin { expires_at: Some(Timestamp::UNIX_EPOCH), ..pin_of("c", &blob) };
    bed.store.pin(ended).await.unwrap();
    let told = bed.store.page("", 1).0.remove(0);
    assert_eq!((told.pieces, told.present_pieces, told.disk_bytes, told.size_bytes), (2, 1, 4096, blob.size()));
    assert_eq!(told.pinned_by, ["a", "b"]);
}
