use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
    io::{ReadWriteFlags, preadv2},
};

use super::*;

/// How often what may be told at once is asked for: another's work with the same folders can get in between.
const TRIES: u32 = 20;

/// Whether a folder's file system says at once whether it has a file and its bytes in memory, and what it has.
fn tells_at_once(folder: &Path) -> bool {
    let path = folder.join("probe");
    fs::write(&path, [1]).unwrap();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    (0..TRIES).any(|_| {
        let Ok(file) = openat2(CWD, path.as_path(), flags, Mode::empty(), ResolveFlags::CACHED) else { return false };
        let mut bytes = [0];
        preadv2(&file, &mut [std::io::IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT).is_ok()
    })
}

#[tokio::test]
async fn a_short_piece_in_memory_is_read_at_once() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let (short, long) = (Blob::new(1, PIECE_BYTES + 5000), Blob::new(2, PIECE_BYTES));
    let (entry, longer) = (bed.keep(&short).await, bed.keep(&long).await);
    let at_once = |piece| entry.read_at_once(&bed.store.shared, PieceIndex(piece));
    if tells_at_once(bed.folder.path()) {
        assert_eq!((0..TRIES).find_map(|_| at_once(1)).unwrap(), short.piece(1));
    }
    assert!(at_once(0).is_none() && longer.read_at_once(&bed.store.shared, PieceIndex(0)).is_none(), "it takes too long");
    assert_eq!(entry.alone(|| at_once(1)).unwrap(), None, "another has the file alone, and is not waited for");
    assert_eq!(entry.read(PieceIndex(1)).await.unwrap(), short.piece(1));
}

#[tokio::test]
async fn what_is_read_at_once_is_right_and_here() {
    let bed = Bed::new(16 * PIECE_BYTES);
    let (damaged, cut, gone) = (Blob::new(1, 5000), Blob::new(2, 5000), Blob::new(3, 5000));
    let at_once = |entry: &Entry| entry.read_at_once(&bed.store.shared, PieceIndex(0));
    let path = |blob: &Blob| bed.store.shared.folder.blob(&blob.digest);
    let tells_at_once = tells_at_once(bed.folder.path());
    let comes = |entry: &Entry, blob: &Blob| {
        let read = (0..TRIES).find_map(|_| at_once(entry));
        assert!(!tells_at_once || read.is_some_and(|bytes| bytes == blob.bytes), "it is as it was kept");
    };
    let entry = bed.keep(&damaged).await;
    comes(&entry, &damaged);
    let mut bytes = damaged.bytes.to_vec();
    bytes[7] ^= 1;
    fs::write(path(&damaged), bytes).unwrap();
    assert!(at_once(&entry).is_none());
    assert!(matches!(entry.read(PieceIndex(0)).await, Err(ReadError::Damaged { .. })));
    let entry = bed.keep(&cut).await;
    comes(&entry, &cut);
    fs::write(path(&cut), &cut.bytes[..100]).unwrap();
    assert!(at_once(&entry).is_none());
    assert!(matches!(entry.read(PieceIndex(0)).await, Err(ReadError::Damaged { .. })));
    let entry = bed.keep(&gone).await;
    comes(&entry, &gone);
    assert!(bed.store.evict(&gone.digest).await.unwrap());
    assert!(at_once(&entry).is_none());
    assert!(matches!(entry.read(PieceIndex(0)).await, Err(ReadError::Missing { .. })));
}
