//! What of pins outlasts a crash.

use std::slice;

use super::*;
use crate::{
    prewarm::leases::{Lease, Leases, NotPinned, holder},
    store::notes::MOST_QUEUED,
};

impl Store {
    /// Nothing can be written to the index any more.
    pub(crate) fn break_index(&self) {
        let path = self.shared.folder.index();
        self.shared.index.while_closed(|| {
            fs::rename(&path, path.with_extension("aside")).unwrap();
            fs::create_dir(&path).unwrap();
        });
    }

    /// It can again.
    pub(crate) fn mend_index(&self) {
        let path = self.shared.folder.index();
        self.shared.index.while_closed(|| {
            fs::remove_dir(&path).unwrap();
            fs::rename(path.with_extension("aside"), &path).unwrap();
        });
    }
}

#[tokio::test]
async fn what_is_held_ends_with_the_process_and_what_is_kept_does_not() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, PIECE_BYTES + 5);
    let (new, before) = (pin_of("a", &blob), pin_of("b", &blob));
    let keys: Vec<_> = ["a", "b", "c"].map(|owner| (owner.to_owned(), blob.digest.clone())).into();
    bed.store.pin(before.clone()).await.unwrap();
    let held = vec![new.clone(), Pin { reason: "a longer lease".to_owned(), ..before.clone() }];
    bed.store.hold_all(held.clone()).unwrap();
    assert_eq!(bed.store.pins(), held);
    bed.store.flush().await.unwrap();
    assert_eq!(bed.after_crash().store.pins(), [before]);

    drop(bed.keep(&blob).await);
    bed.store.keep_held(keys.clone()).await.unwrap();
    let crashed = bed.after_crash();
    assert_eq!((crashed.store.pins().len(), crashed.store.pins()), (2, bed.store.pins()));
    assert!(crashed.store.peek(&blob.digest).is_some_and(|entry| entry.is_complete()), "a pin is kept with what it holds");

    bed.store.hold_all(vec![new]).unwrap();
    for (owner, digest) in &keys {
        assert_eq!(bed.store.unpin(owner, digest).await.unwrap(), owner != "c");
    }
    assert_eq!((bed.store.pins(), bed.after_crash().store.pins()), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_held_for_nothing_is_as_it_was_though_nothing_can_be_written() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let (old, new) = (Blob::new(1, 5000), Blob::new(2, 5000));
    let before = pin_of(&holder("a"), &old);
    bed.store.pin(before.clone()).await.unwrap();
    let (leases, mut taken) = (Leases::default(), Vec::new());
    let lease = Lease { reason: "a longer lease".to_owned(), image: "a".to_owned(), expires_at: Timestamp::MAX };
    let contents = [&old, &new].map(|blob| (blob.digest.clone(), blob.size())).into();
    leases.take(&bed.store, &lease, contents, &mut taken).await.unwrap();
    assert!(bed.store.pins().len() == 2 && bed.store.pins().iter().all(|pin| pin.reason == lease.reason));
    bed.store.break_index();
    let others = (0..MOST_QUEUED).map(|number| ((number.to_string(), new.digest.clone()), None));
    bed.store.shared.state().notes.pins.extend(others);
    assert!(bed.store.flush().await.is_err());
    leases.settle(&bed.store, taken, false).await.unwrap();
    assert_eq!(bed.store.pins(), slice::from_ref(&before));
    bed.store.mend_index();
    bed.store.flush().await.unwrap();
    assert_eq!((bed.store.pins(), bed.after_crash().store.pins()), (vec![before.clone()], vec![before]));
}

#[tokio::test]
async fn that_a_pin_stays_is_not_said_before_it_is_written() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let blob = Blob::new(1, 5000);
    let (leases, mut taken) = (Leases::default(), Vec::new());
    let lease = Lease { reason: "a test".to_owned(), image: "a".to_owned(), expires_at: Timestamp::MAX };
    leases.take(&bed.store, &lease, vec![(blob.digest.clone(), blob.size())], &mut taken).await.unwrap();
    bed.store.break_index();
    assert!(matches!(leases.settle(&bed.store, taken, true).await, Err(NotPinned::NotWritten(_))));
    bed.store.mend_index();
    assert!(bed.after_crash().store.pins().is_empty());
    bed.store.flush().await.unwrap();
    assert_eq!((bed.store.pins().len(), bed.after_crash().store.pins()), (1, bed.store.pins()));
}

#[tokio::test]
async fn what_is_held_is_pinned_within_the_same_bounds() {
    let bed = Bed::new(2 * PIECE_BYTES);
    let (small, large) = (Blob::new(1, PIECE_BYTES), Blob::new(2, 2 * PIECE_BYTES));
    let refused = bed.store.hold_all(vec![pin_of("a", &small), pin_of("a", &large)]);
    assert!(matches!(refused, Err(StoreError::PinsExceedQuota { .. })) && bed.store.pins().len() == 1);
    drop(bed.keep(&small).await);
    assert!(matches!(bed.store.evict(&small.digest).await, Err(StoreError::Pinned { .. })));
}
