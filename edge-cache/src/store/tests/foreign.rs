//! What lies in the folder that the store did not put there, and who may look into it. All within folders of the test's own.

use std::os::unix::fs::symlink;

use longshore_service::private_files;

use super::*;

/// What a link leads to, which is nobody's to change.
const ANOTHERS: &[u8] = b"another's";

/// Something that is no plain file, and its target, where it has one.
fn put(kind: &str, path: &Path, elsewhere: &Path) {
    fs::remove_file(path).ok();
    match kind {
        "link" => symlink(elsewhere.join("file"), path).unwrap(),
        "link to nothing" => symlink(elsewhere.join("missing"), path).unwrap(),
        "folder" => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("inside"), "x").unwrap();
        }
        "link to a folder" => symlink(elsewhere, path).unwrap(),
        "pipe" => rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap(),
        other => unreachable!("{other}"),
    }
}

const KINDS: [&str; 5] = ["link", "link to nothing", "folder", "link to a folder", "pipe"];

fn elsewhere() -> TempDir {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("file"), ANOTHERS).unwrap();
    elsewhere
}

fn is_untouched(elsewhere: &TempDir) -> bool {
    let names: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names == ["file"] && fs::read(elsewhere.path().join("file")).unwrap() == ANOTHERS
}

#[tokio::test]
async fn what_is_no_file_is_a_damaged_blob_and_its_target_is_left_alone() {
    for kind in KINDS {
        let (bed, elsewhere) = (Bed::new(16 * PIECE_BYTES), elsewhere());
        let blob = Blob::new(1, 3 * PIECE_BYTES);
        let entry = bed.keep(&blob).await;
        bed.store.flush().await.unwrap();
        let path = bed.store.shared.folder.blob(&blob.digest);
        put(kind, &path, elsewhere.path());
        assert!(matches!(entry.read(PieceIndex(1)).await, Err(ReadError::Damaged { .. })), "{kind}");
        assert_eq!((bed.store.shared.metrics.damaged.get(), entry.present().count()), (3, 0), "{kind}: all of it, at once");
        assert_eq!(bed.store.usage().disk_bytes, 0, "{kind}");
        for piece in 0..3 {
            entry.write(PieceIndex(piece), blob.piece(piece)).await.unwrap();
        }
        bed.store.flush().await.unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file() && is_untouched(&elsewhere), "{kind}");
        assert_eq!(bed.store.scrub().await.damaged_pieces, 0, "{kind}");
    }
}

#[tokio::test]
async fn nothing_is_written_by_way_of_what_is_no_file() {
    for kind in KINDS {
        let (bed, elsewhere) = (Bed::new(16 * PIECE_BYTES), elsewhere());
        let blob = Blob::new(1, 3 * PIECE_BYTES);
        let entry = bed.store.begin(&blob.digest, blob.size(), blob.hashes()).await.unwrap();
        entry.write(PieceIndex(0), blob.piece(0)).await.unwrap();
        put(kind, &bed.store.shared.folder.blob(&blob.digest), elsewhere.path());
        entry.write(PieceIndex(1), blob.piece(1)).await.unwrap();
        assert!(!entry.has(PieceIndex(0)) && is_untouched(&elsewhere), "{kind}: what was there went with it");
        assert_eq!(entry.read(PieceIndex(1)).await.unwrap(), blob.piece(1), "{kind}");
        assert_eq!(bed.store.usage().disk_bytes, PIECE_BYTES, "{kind}");
        // As one stream, too.
        put(kind, &bed.store.shared.folder.blob(&blob.digest), elsewhere.path());
        let mut receiving = bed.store.receive(&blob.digest, blob.size()).await.unwrap();
        receiving.append(blob.bytes.clone()).await.unwrap();
        receiving.finish().await.unwrap();
        assert_eq!((bed.store.scrub().await.damaged_pieces, is_untouched(&elsewhere)), (0, true), "{kind}");
    }
}

#[tokio::test]
async fn nothing_that_lies_among_the_blobs_keeps_it_from_starting() {
    for kind in KINDS {
        let (bed, elsewhere) = (Bed::new(16 * PIECE_BYTES), elsewhere());
        let blobs = [Blob::new(1, 2 * PIECE_BYTES), Blob::new(2, 100)];
        for blob in &blobs {
            bed.keep(blob).await;
        }
        bed.store.flush().await.unwrap();
        let paths = blobs.each_ref().map(|blob| bed.store.shared.folder.blob(&blob.digest));
        let root = bed.store.shared.folder.root().to_owned();
        put(kind, &paths[0], elsewhere.path());
        put(kind, &paths[1].parent().unwrap().join("stray"), elsewhere.path());
        put(kind, &root.join("blobs/sha512/zz"), elsewhere.path());
        put(kind, &root.join("incoming/0"), elsewhere.path());
        drop(bed.store);
        let store = open(&root, 16 * PIECE_BYTES).unwrap();
        assert!(store.peek(&blobs[0].digest).is_none() && store.peek(&blobs[1].digest).unwrap().is_complete(), "{kind}");
        assert!(fs::symlink_metadata(&paths[0]).is_err() && is_untouched(&elsewhere), "{kind}");
        let entry = store.begin(&blobs[0].digest, blobs[0].size(), blobs[0].hashes()).await.unwrap();
        entry.write(PieceIndex(1), blobs[0].piece(1)).await.unwrap();
        assert_eq!(entry.read(PieceIndex(1)).await.unwrap(), blobs[0].piece(1), "{kind}");
    }
}

#[tokio::test]
async fn its_own_files_are_not_found_by_links() {
    for name in ["lock", "index.redb"] {
        let (bed, elsewhere) = (Bed::new(PIECE_BYTES), elsewhere());
        let root = bed.store.shared.folder.root().to_owned();
        drop(bed.store);
        put("link", &root.join(name), elsewhere.path());
        let error = open(&root, PIECE_BYTES).unwrap_err();
        let words = longshore_service::error_text::with_sources(&error);
        assert!(words.contains(name) && words.contains("no plain file") && is_untouched(&elsewhere), "{words}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_told_once_with_all_that_it_lost() {
    let bed = Bed::new(64 * PIECE_BYTES);
    let blob = Blob::new(1, 30 * PIECE_BYTES);
    let entry = bed.keep(&blob).await;
    let path = bed.store.shared.folder.blob(&blob.digest);
    fs::File::options().write(true).open(&path).unwrap().set_len(3 * PIECE_BYTES / 2).unwrap();
    assert!(matches!(entry.read(PieceIndex(9)).await, Err(ReadError::Damaged { .. })));
    assert!(entry.has(PieceIndex(0)) && entry.present().count() == 1, "what lies before its end stays");
    assert_eq!(bed.store.shared.metrics.damaged.get(), 29);
    assert_eq!(bed.store.usage().disk_bytes, PIECE_BYTES);
    assert!(matches!(entry.read(PieceIndex(9)).await, Err(ReadError::Missing { .. })));
    for piece in 1..30 {
        entry.write(PieceIndex(piece), blob.piece(piece)).await.unwrap();
    }
    fs::remove_file(&path).unwrap();
    let report = bed.store.scrub().await;
    assert_eq!((report.damaged_pieces, report.damaged.len(), report.bytes), (30, 30, 0), "a scrub names each");
}

#[tokio::test]
async fn what_it_makes_is_its_owners_alone() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("cache");
    let store = open(&root, 16 * PIECE_BYTES).unwrap();
    let bed = Bed { folder: top, store };
    bed.keep(&Blob::new(1, 100)).await;
    let coming = bed.store.receive(&Blob::new(2, 1).digest, 8).await.unwrap();
    bed.store.flush().await.unwrap();
    let (mut left, mut seen) = (vec![root], 0);
    while let Some(path) = left.pop() {
        assert!(!private_files::is_open(&path), "{}", path.display());
        seen += 1;
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen >= 9, "{seen} were seen");
    drop(coming);
}
