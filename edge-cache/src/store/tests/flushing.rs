//! A blob that is dropped and begun anew around flushes, which are cut off at any step: what is there after that is right, nothing of it
//! is missing that was noted, and nothing lies on the disk that is not charged.

use std::{collections::BTreeSet, mem, os::unix::fs::MetadataExt};

use proptest::prelude::*;

use super::*;
use crate::{piece::PieceSet, store::flush::Taken};

const QUOTA_BYTES: u64 = 16 * PIECE_BYTES;
/// What a file system may take for a file beside its content.
const OVERHEAD_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u32),
    Receive,
    Evict,
    /// The flush goes on, or one begins.
    Flush,
    /// The index could not be written, or does not say that it was.
    Fail,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u32..3).prop_map(Step::Write),
        1 => Just(Step::Receive),
        3 => Just(Step::Evict),
        8 => Just(Step::Flush),
        1 => Just(Step::Fail),
        2 => Just(Step::Crash),
    ]
}

/// How far a flush is, and the pieces that are noted with it.
enum Phase {
    Idle,
    Synced(Vec<Digest>),
    Taken(Taken, BTreeSet<u32>),
    Committed(Taken, BTreeSet<u32>),
}

struct Run {
    bed: Bed,
    blob: Blob,
    phase: Phase,
    /// Pieces that outlast a crash.
    noted: BTreeSet<u32>,
}

impl Run {
    fn new() -> Self {
        let blob = Blob::new(1, 2 * PIECE_BYTES + 100);
        Self { bed: Bed::new(QUOTA_BYTES), blob, phase: Phase::Idle, noted: BTreeSet::new() }
    }

    async fn take(&mut self, step: Step) {
        // Who begins a blob that the index has yet to forget waits for the flush to be over.
        let waits = !matches!(self.phase, Phase::Idle) && self.bed.store.shared.state().is_unsettled(&self.blob.digest);
        match step {
            Step::Write(piece) if !waits => {
                let entry = self.bed.store.begin(&self.blob.digest, self.blob.size(), self.blob.hashes()).await.unwrap();
                entry.write(PieceIndex(piece), self.blob.piece(piece)).await.unwrap();
            }
            Step::Receive if !waits => {
                let mut receiving = self.bed.store.receive(&self.blob.digest, self.blob.size()).await.unwrap();
                receiving.append(self.blob.bytes.clone()).await.unwrap();
                assert!(receiving.finish().await.unwrap().is_complete());
            }
            Step::Write(_) | Step::Receive => {}
            Step::Evict => {
                if self.bed.store.evict(&self.blob.digest).await.unwrap() {
                    self.noted.clear();
                    if let Phase::Taken(_, noted) | Phase::Committed(_, noted) = &mut self.phase {
                        noted.clear();
                    }
                }
            }
            Step::Flush => self.flush(),
            Step::Fail => match mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Taken(taken, _) | Phase::Committed(taken, _) => self.bed.store.shared.put_back(taken.batch),
                before => self.phase = before,
            },
            Step::Crash => self.crash().await,
        }
    }

    fn flush(&mut self) {
        let shared = self.bed.store.shared.clone();
        self.phase = match mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => Phase::Synced(shared.sync_written()),
            Phase::Synced(dirty) => {
                let noted = if dirty.contains(&self.blob.digest) { self.durable() } else { BTreeSet::new() };
                Phase::Taken(shared.take(&dirty), noted)
            }
            Phase::Taken(taken, noted) => {
                shared.index.commit(&taken.batch).unwrap();
                Phase::Committed(taken, noted)
            }
            Phase::Committed(taken, noted) => {
                shared.settle(&taken);
                self.noted.extend(noted);
                Phase::Idle
            }
        };
    }

    /// The pieces that a power failure would leave in the blob's file.
    fn durable(&self) -> BTreeSet<u32> {
        let Some(entry) = self.bed.store.peek(&self.blob.digest) else { return BTreeSet::new() };
        let durable = PieceSet::from_bytes(entry.geometry().pieces(), &entry.row().bits).unwrap();
        (0..entry.geometry().pieces()).filter(|piece| durable.contains(PieceIndex(*piece))).collect()
    }

    /// A power failure: of what was not synced, anything may be there.
    async fn crash(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        copy(self.bed.folder.path(), folder.path());
        let path = self.bed.store.shared.folder.blob(&self.blob.digest);
        let path = folder.path().join(path.strip_prefix(self.bed.store.shared.folder.root()).unwrap());
        if let Ok(mut bytes) = fs::read(&path) {
            let durable = self.durable();
            for (piece, bytes) in (0..).zip(bytes.chunks_mut(PIECE_BYTES as usize)) {
                if !durable.contains(&piece) {
                    bytes.fill(7);
                }
            }
            fs::write(&path, bytes).unwrap();
        }
        let store = open(folder.path(), QUOTA_BYTES).unwrap();
        self.bed = Bed { folder, store };
        self.phase = Phase::Idle;
        let found = self.bed.store.peek(&self.blob.digest);
        let here = found.as_ref().map(|entry| entry.present());
        for piece in &self.noted {
            assert!(here.as_ref().is_some_and(|here| here.contains(PieceIndex(*piece))), "piece {piece} was noted");
        }
        if let Some(entry) = &found {
            for piece in (0..entry.geometry().pieces()).filter(|piece| entry.has(PieceIndex(*piece))) {
                assert_eq!(entry.read(PieceIndex(piece)).await.unwrap(), self.blob.piece(piece));
            }
        }
        let charged = found.as_ref().map_or(0, |entry| entry.disk_bytes());
        assert_eq!((self.bed.store.usage().disk_bytes, path.exists()), (charged, found.is_some()));
        if let Ok(file) = fs::metadata(&path) {
            assert!(file.blocks() * 512 <= charged + OVERHEAD_BYTES, "{} is more than {charged}", file.blocks() * 512);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn a_flush_that_is_cut_off_leaves_what_is_right(steps in prop::collection::vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.take(step).await;
            }
            run.crash().await;
        });
    }
}

#[tokio::test]
async fn a_blob_is_begun_anew_when_the_index_has_forgotten_it() {
    let bed = Bed::new(QUOTA_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let shared = &bed.store.shared;
    drop(bed.keep(&blob).await);
    bed.store.flush().await.unwrap();
    assert!(bed.store.evict(&blob.digest).await.unwrap());
    let taken = shared.take(&shared.sync_written());
    assert!(shared.state().is_unsettled(&blob.digest), "the index still has it");
    shared.put_back(taken.batch);
    assert!(shared.state().is_unsettled(&blob.digest), "nor does it forget what it could not write");
    let taken = shared.take(&shared.sync_written());
    shared.index.commit(&taken.batch).unwrap();
    assert!(bed.after_crash().store.peek(&blob.digest).is_none());
    shared.settle(&taken);
    assert!(!shared.state().is_unsettled(&blob.digest));
}

#[tokio::test]
async fn a_blob_that_is_another_by_now_is_not_taken_to_be_noted() {
    let bed = Bed::new(QUOTA_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let shared = &bed.store.shared;
    drop(bed.keep(&blob).await);
    let taken = shared.take(&shared.sync_written());
    shared.index.commit(&taken.batch).unwrap();
    assert!(bed.store.evict(&blob.digest).await.unwrap());
    shared.settle(&taken);
    let again = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    again.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    shared.settle(&taken);
    assert!(!again.is_indexed());
    bed.store.flush().await.unwrap();
    let crashed = bed.after_crash();
    let found = crashed.store.peek(&blob.digest).expect("its length and hashes are noted");
    assert!(found.has(PieceIndex(1)) && !found.has(PieceIndex(0)));
}

#[tokio::test]
async fn what_the_index_has_to_forget_is_bounded() {
    let bed = Bed::with(QUOTA_BYTES, |settings| settings.max_entries = 2);
    for seed in 0..9 {
        drop(bed.keep(&Blob::new(seed, 10)).await);
        assert!(bed.store.evict(&Blob::new(seed, 10).digest).await.unwrap());
        assert!(bed.store.shared.state().gone.len() <= 2);
    }
}

#[tokio::test]
async fn a_blob_is_not_begun_while_its_file_is_on_its_way() {
    let bed = Bed::new(QUOTA_BYTES);
    let blob = Blob::new(1, 10);
    bed.store.shared.state().moving.insert(blob.digest.clone());
    assert!(bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.is_err());
    bed.store.shared.state().moving.clear();
    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    receiving.append(blob.bytes.clone()).await.unwrap();
    receiving.finish().await.unwrap();
    assert!(bed.store.shared.state().moving.is_empty());
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_another_has_its_name_before_it_is_noted() {
    let bed = Bed::new(QUOTA_BYTES);
    let blob = Blob::new(1, 3 * PIECE_BYTES);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    bed.store.flush().await.unwrap();
    let noted = entry.row().bits;
    assert!(entry.is_named());
    let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
    receiving.append(blob.bytes.clone()).await.unwrap();
    receiving.finish().await.unwrap();
    assert!(entry.is_complete() && !entry.is_named());
    assert_eq!(entry.row().bits, noted, "of either file, this much is right");
    bed.store.flush().await.unwrap();
    assert!(entry.is_named() && entry.row().bits != noted);
}

#[tokio::test]
async fn pieces_that_can_not_be_synced_are_given_up() {
    let bed = Bed::new(QUOTA_BYTES);
    let blob = Blob::new(1, 2 * PIECE_BYTES);
    let path = bed.store.shared.folder.blob(&blob.digest);
    let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
    entry.write(PieceIndex(0), blob.piece(0)).await.unwrap();
    bed.store.flush().await.unwrap();
    fs::remove_file(&path).unwrap();
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    assert!(!entry.is_named(), "the file is another");
    fs::remove_file(&path).unwrap();
    bed.store.flush().await.unwrap();
    assert!(!entry.has(PieceIndex(1)));
    assert!(matches!(entry.read(PieceIndex(0)).await, Err(ReadError::Damaged { .. })));
    assert_eq!(bed.store.usage().disk_bytes, 0);
    entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
    bed.store.flush().await.unwrap();
    assert!(bed.after_crash().store.peek(&blob.digest).unwrap().has(PieceIndex(1)));
}
