//! What is here, and what can't be kept.

use std::fs;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_streamed() {
    for quota in [0, 2_500_000] {
        let (cache, swarm) = (Cache::new(quota, 0, 16 << 20), Swarm::of(6_000_000));
        assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
        assert_eq!((swarm.begun(), once(&swarm.behind.asked())), (0, 6_000_000), "{quota}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_take_is_streamed() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    // Where its file's folder would be.
    fs::write(runs::path_of(&cache, &swarm.digest()).parent().unwrap(), "").unwrap();
    let read = join_all((0..10).map(|_| cache.read_by(&swarm, ""))).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &swarm.behind.content));
    assert_eq!((swarm.begun(), swarm.brought().len(), swarm.landed()), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_give_is_streamed_by_itself() {
    let (cache, swarm) = (Cache::new(1 << 30, 0, 16 << 20), Swarm::of(3_000_000));
    let digest = swarm.digest();
    cache.read_by(&swarm, "").await.unwrap();
    until(|| cache.blobs.0.provenance.is_whole_checked(&digest)).await;
    cache.store.flush().await.unwrap();
    let folder = runs::path_of(&cache, &digest).parent().unwrap().to_owned();
    // The system says neither that the file is there nor that it is not.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    assert_eq!((swarm.begun(), swarm.behind.asked().len()), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_has_of_a_dropped_blob_is_not_gathered() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    let (digest, shared) = (swarm.digest(), &cache.blobs.0);
    cache.read_by(&swarm, "").await.unwrap();
    until(|| shared.provenance.is_whole_checked(&digest)).await;
    let first = cache.blobs.kept(&digest, SCRIPTED).unwrap().hashes().get(PieceIndex(0)).unwrap();
    assert!(cache.store.evict(&digest).await.unwrap());
    until(|| !shared.provenance.is_known(&digest)).await;
    shared.hot.forget(&first);
    until(|| !shared.hot.has(&first)).await;
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    until(|| shared.provenance.is_whole_checked(&digest)).await;
    assert_eq!(swarm.brought()[10..], [0]);
    assert_eq!(swarm.landed(), 20, "who gathers is told of what was in memory, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_is_had_without_a_source() {
    let (cache, swarm) = (Cache::new(1 << 30, 0, 4 << 20), Swarm::of(3_500_000));
    let (digest, blobs) = (swarm.digest(), &cache.blobs);
    assert!(blobs.kept(&digest, SCRIPTED).is_none());
    assert!(blobs.read_kept(&digest, SCRIPTED, PieceIndex(0)).await.unwrap().is_none());
    swarm.hold();
    let reading = cache.reader_at(&swarm, 2).await;
    swarm.pieces.add_permits(1);
    drop(reading.await.unwrap());
    until(|| swarm.landed() == 1).await;
    assert_eq!(blobs.kept(&digest, SCRIPTED).unwrap().present().count(), 1);
    let piece = blobs.read_kept(&digest, SCRIPTED, PieceIndex(2)).await.unwrap().unwrap();
    assert_eq!(piece, swarm.behind.content.slice(2 << 20..3 << 20));
    for missing in [0, 3, 4] {
        assert!(blobs.read_kept(&digest, SCRIPTED, PieceIndex(missing)).await.unwrap().is_none());
    }
    // Who holds it pays for it.
    let others = join_all((0..3).map(|_| blobs.0.hot.room_for(PIECE_BYTES))).await;
    assert!(others.iter().all(Result::is_ok) && blobs.0.hot.budget().try_take(1).is_none());
    drop(piece);
    until(|| blobs.0.hot.budget().try_take(PIECE_BYTES).is_some()).await;
    // What is damaged is not handed on.
    cache.store.flush().await.unwrap();
    let path = runs::path_of(&cache, &digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[2 << 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    drop(others);
    assert!(blobs.read_kept(&digest, SCRIPTED, PieceIndex(2)).await.unwrap().is_none());
    assert_eq!((swarm.begun(), swarm.behind.asked().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_memory_is_short_what_is_here_is_told_apart_from_what_is_not() {
    let (cache, source) = (Cache::of(1 << 30, 0, 4 << 20, Duration::from_millis(20)), Scripted::of(3_500_000, true));
    cache.whole(&source).await.unwrap();
    until(|| cache.blobs.0.provenance.is_whole_checked(&source.digest())).await;
    let _all = join_all((0..4).map(|_| cache.blobs.0.hot.room_for(PIECE_BYTES))).await;
    assert!(cache.blobs.read_kept(&source.digest(), SCRIPTED, PieceIndex(0)).await.is_err());
    assert!(cache.blobs.read_kept(&source.digest(), SCRIPTED, PieceIndex(9)).await.unwrap().is_none());
}
