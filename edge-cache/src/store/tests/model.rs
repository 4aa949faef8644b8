//! Random reads, writes, pins, evictions and crashes against a model: the quota holds, pins hold, bytes are right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const QUOTA_BYTES: u64 = 5 * PIECE_BYTES;
const BLOBS: u8 = 5;

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u32),
    Receive(u8),
    Read(u8, u32),
    Pin(u8),
    Unpin(u8),
    Evict(u8),
    Flush,
    Damage(u8),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let blob = || 0..BLOBS;
    prop_oneof![
        6 => (blob(), 0_u32..3).prop_map(|(blob, piece)| Step::Write(blob, piece)),
        2 => blob().prop_map(Step::Receive),
        3 => (blob(), 0_u32..3).prop_map(|(blob, piece)| Step::Read(blob, piece)),
        1 => blob().prop_map(Step::Pin),
        1 => blob().prop_map(Step::Unpin),
        1 => blob().prop_map(Step::Evict),
        2 => Just(Step::Flush),
        1 => blob().prop_map(Step::Damage),
        1 => Just(Step::Crash),
    ]
}

/// The store under test, and what must hold of it.
struct Run {
    bed: Bed,
    blobs: Vec<Blob>,
    /// Pieces that may not be lost: synced, and pinned ever since.
    safe: BTreeSet<(u8, u32)>,
    pinned: BTreeMap<u8, u64>,
}

impl Run {
    fn new() -> Self {
        let blobs = (0..BLOBS).map(|seed| Blob::new(seed, u64::from(seed) * PIECE_BYTES / 2 + 100)).collect();
        Self { bed: Bed::new(QUOTA_BYTES), blobs, safe: BTreeSet::new(), pinned: BTreeMap::new() }
    }

    async fn take(&mut self, step: Step) {
        let blob_of = |blob: u8| self.blobs[usize::from(blob)].clone();
        match step {
            Step::Write(number, piece) => {
                let blob = blob_of(number);
                let entry = self.bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
                if piece < entry.geometry().pieces() {
                    match entry.write(PieceIndex(piece), blob.piece(piece)).await {
                        Ok(()) => assert!(entry.has(PieceIndex(piece))),
                        Err(error) => assert!(error.is_no_room() && !self.pinned.contains_key(&number), "{error}"),
                    }
                }
            }
            Step::Receive(number) => {
                let blob = blob_of(number);
                if let Ok(mut receiving) = self.bed.store.receive(&blob.digest, blob.size()).await {
                    receiving.append(blob.bytes.clone()).await.unwrap();
                    assert!(receiving.finish().await.unwrap().is_complete());
                }
            }
            Step::Read(number, piece) => {
                let blob = blob_of(number);
                if let Some(entry) = self.bed.store.entry(&blob.digest) {
                    match entry.read(PieceIndex(piece)).await {
                        Ok(bytes) => assert_eq!(bytes, blob.piece(piece)),
                        Err(ReadError::Missing { .. } | ReadError::Damaged { .. }) => assert!(!entry.has(PieceIndex(piece))),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            Step::Pin(number) => {
                let blob = blob_of(number);
                let needed: u64 = self.pinned.values().sum::<u64>() + charge::blob_charge(blob.size());
                let is_new = !self.pinned.contains_key(&number);
                let pinned = self.bed.store.pin(pin_of("me", &blob)).await;
                assert_eq!(pinned.is_ok(), !is_new || needed <= QUOTA_BYTES);
                if pinned.is_ok() {
                    self.pinned.insert(number, charge::blob_charge(blob.size()));
                }
            }
            Step::Unpin(number) => {
                let was_pinned = self.bed.store.unpin("me", &blob_of(number).digest).await.unwrap();
                assert_eq!(was_pinned, self.pinned.remove(&number).is_some());
                self.safe.retain(|(blob, _)| *blob != number);
            }
            Step::Evict(number) => {
                let evicted = self.bed.store.evict(&blob_of(number).digest).await;
                assert_eq!(evicted.is_err(), self.pinned.contains_key(&number));
            }
            Step::Flush => {
                self.bed.store.flush().await.unwrap();
                for number in self.pinned.keys() {
                    let blob = &self.blobs[usize::from(*number)];
                    let Some(entry) = self.bed.store.peek(&blob.digest) else { continue };
                    for piece in 0..3 {
                        // Read, since damage may be there that nobody has found.
                        if entry.read(PieceIndex(piece)).await.is_ok() {
                            self.safe.insert((*number, piece));
                        }
                    }
                }
            }
            Step::Damage(number) => {
                let path = self.bed.store.shared.folder.blob(&blob_of(number).digest);
                if let Ok(mut bytes) = fs::read(&path) {
                    bytes[0] ^= 1;
                    fs::write(&path, bytes).unwrap();
                    self.safe.remove(&(number, 0));
                }
            }
            Step::Crash => self.crash(),
        }
    }

    /// A power failure: of what was not synced, anything may be there.
    fn crash(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        copy(self.bed.folder.path(), folder.path());
        for slot in self.bed.store.shared.state().entries.values() {
            let row = slot.entry.row();
            let durable = crate::piece::PieceSet::from_bytes(slot.entry.geometry().pieces(), &row.bits).unwrap();
            let path = self.bed.store.shared.folder.blob(&row.digest);
            let path = folder.path().join(path.strip_prefix(self.bed.store.shared.folder.root()).unwrap());
            let Ok(mut bytes) = fs::read(&path) else { continue };
            for piece in (0..slot.entry.geometry().pieces()).map(PieceIndex).filter(|piece| !durable.contains(*piece)) {
                let range = slot.entry.geometry().bytes_of(piece);
                bytes.iter_mut().take(range.end as usize).skip(range.start as usize).for_each(|byte| *byte = !*byte);
            }
            fs::write(path, bytes).unwrap();
        }
        let store = open(folder.path(), QUOTA_BYTES).unwrap();
        self.bed = Bed { folder, store };
    }

    fn check(&self) {
        let usage = self.bed.store.usage();
        assert!(usage.disk_bytes <= QUOTA_BYTES && usage.reserved_bytes == 0, "{usage:?}");
        assert_eq!(usage.disk_bytes, self.bed.store.page("", usize::MAX).0.iter().map(|entry| entry.disk_bytes).sum::<u64>());
        assert_eq!(usage.pinned_bytes, self.pinned.values().sum::<u64>());
        for (number, piece) in &self.safe {
            let entry = self.bed.store.peek(&self.blobs[usize::from(*number)].digest);
            assert!(entry.is_some_and(|entry| entry.has(PieceIndex(*piece))), "piece {piece} of {number} was pinned and synced");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_quota_holds_pins_hold_and_bytes_are_right(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.take(step).await;
                run.check();
            }
        });
    }
}
