use jiff::{Timestamp, ToSpan as _};
use longshore_oci::{Algorithm, Digest, HashState, Hasher};
use uuid::Uuid;

use super::{
    Subject, on_every_database,
    samples::{LEASE_US, begin, commit, digest, garbage, record_links, repository, whole},
};
use crate::{
    state::{
        BlobCommit, Cancelled, Checkpoint, Claim, ClaimWish, Claimed, FinishUpload, Finished, Garbage, NewUpload, SharedState,
        Tail, UploadPart,
    },
    storage::{ObjectKey, PartTag, PartsId},
};

on_every_database!(
    one_writes_at_a_time,
    a_lapsed_claim_goes_to_the_next,
    a_lost_claim_changes_nothing,
    a_checkpoint_is_found_by_the_next_claim,
    parts_are_replaced_with_their_object,
    the_algorithm_is_settled_by_the_first_byte,
    a_cancelled_upload_gives_up_its_bytes,
    idle_uploads_expire,
    a_commit_makes_a_blob,
    a_commit_replaces_what_is_damaged,
    what_lies_whole_is_finished_in_one_step,
    what_does_not_lie_whole_takes_a_writer,
    a_finished_upload_of_another_digest_is_gone,
    what_lapsed_claims_wrote_goes_with_the_commit,
);

fn wish(upload: &NewUpload, lease_us: i64) -> ClaimWish {
    let (id, repository) = (upload.id, upload.repository.clone());
    ClaimWish { id, repository, algorithm: None, claim: Uuid::now_v7(), lease_us }
}

async fn take(state: &SharedState, upload: &NewUpload, lease_us: i64) -> Claimed {
    match state.claim_upload(wish(upload, lease_us)).await.unwrap() {
        Claim::Taken(claimed) => *claimed,
        other => panic!("it is free, yet {other:?}"),
    }
}

async fn is_busy(state: &SharedState, upload: &NewUpload) -> bool {
    matches!(state.claim_upload(wish(upload, LEASE_US)).await.unwrap(), Claim::Busy)
}

/// A checkpoint at so many bytes that gives up the claim.
fn checkpoint(offset_bytes: u64) -> Checkpoint {
    Checkpoint {
        offset_bytes,
        hash_state: HashState(vec![1, 2, 3]),
        assembly: None,
        new_parts: Vec::new(),
        replaces_parts: false,
        tail: None,
        pieces: Vec::new(),
        garbage: Vec::new(),
        release: true,
        lease_us: LEASE_US,
        garbage_due_at: Timestamp::now(),
    }
}

fn part(number: u32) -> UploadPart {
    UploadPart { number, tag: PartTag(format!("etag-{number}")), pieces: vec![u8::try_from(number).unwrap(); 64] }
}

async fn one_writes_at_a_time(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let (upload, claim) = begin(state, "a/b").await;
    assert!(is_busy(&other, &upload).await);
    assert!(state.renew_claim(upload.id, claim, LEASE_US).await.unwrap());
    assert!(!other.renew_claim(upload.id, Uuid::now_v7(), LEASE_US).await.unwrap());
    assert!(state.checkpoint_upload(upload.id, claim, checkpoint(0)).await.unwrap());
    let claimed = take(&other, &upload, LEASE_US).await;
    assert_eq!((claimed.generation, claimed.offset_bytes, claimed.part_bytes), (2, 0, 8 << 20));
    assert!(is_busy(state, &upload).await);

    let elsewhere = NewUpload { repository: repository("a/c"), ..upload.clone() };
    assert!(matches!(state.claim_upload(wish(&elsewhere, LEASE_US)).await.unwrap(), Claim::Unknown));
    assert!(state.upload_status(&elsewhere.repository, upload.id).await.unwrap().is_none());
    let unknown = NewUpload { id: Uuid::now_v7(), ..upload.clone() };
    assert!(matches!(state.claim_upload(wish(&unknown, LEASE_US)).await.unwrap(), Claim::Unknown));
    assert_eq!(state.count_uploads().await.unwrap(), 1);
    assert!(state.is_upload_open(upload.id).await.unwrap());
    assert!(!state.is_upload_open(unknown.id).await.unwrap());
}

async fn a_lapsed_claim_goes_to_the_next(subject: Subject) {
    let state = &subject.state;
    let (upload, claim) = begin(state, "a/b").await;
    state.release_claim(upload.id, claim, true).await.unwrap();
    let second = take(state, &upload, -1).await;
    assert_eq!(second.generation, 2);
    assert!(state.renew_claim(upload.id, second.claim, LEASE_US).await.unwrap(), "what nobody took can be kept");
    assert!(is_busy(state, &upload).await);
}

async fn a_lost_claim_changes_nothing(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let (upload, lost) = begin(state, "a/b").await;
    state.release_claim(upload.id, lost, true).await.unwrap();
    let held = take(&other, &upload, LEASE_US).await;

    assert!(!state.renew_claim(upload.id, lost, LEASE_US).await.unwrap());
    let late = whole(&upload, lost, "content");
    let left = Garbage { key: late.key.clone(), parts: None };
    let mut note = checkpoint(100);
    note.garbage.push(left.clone());
    note.new_parts.push(part(1));
    assert!(!state.checkpoint_upload(upload.id, lost, note).await.unwrap());
    let mut commit = late.clone();
    commit.garbage.push(left);
    assert!(!state.commit_blob(commit).await.unwrap());
    assert_eq!(state.cancel_upload(&upload.repository, upload.id, Some(lost)).await.unwrap(), Cancelled::Busy);

    assert_eq!(state.upload_status(&upload.repository, upload.id).await.unwrap().unwrap().offset_bytes, 0);
    assert!(state.blob(&upload.repository, &late.digest).await.unwrap().is_none());
    assert!(garbage(state).await.is_empty());
    assert_eq!(subject.count("upload_parts").await, 0);
    assert!(subject.events().await.is_empty());
    let key = held.tail_key(2);
    assert!(other.commit_blob(crate::state::BlobCommit { claim: held.claim, key, ..late }).await.unwrap());
}

async fn a_checkpoint_is_found_by_the_next_claim(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let (upload, claim) = begin(state, "a/b").await;
    let left: ObjectKey = upload.clone().claimed(claim).tail_key(1);
    let first = Checkpoint {
        assembly: Some((1, PartsId("many".to_owned()), false)),
        new_parts: vec![part(1), part(2)],
        release: false,
        ..checkpoint(16 << 20)
    };
    assert!(state.checkpoint_upload(upload.id, claim, first).await.unwrap());
    assert!(is_busy(&other, &upload).await, "a checkpoint alone gives up nothing");
    let second = Checkpoint {
        assembly: Some((1, PartsId("many".to_owned()), true)),
        new_parts: vec![part(3)],
        tail: Some(Tail { generation: 1, size_bytes: 5 }),
        pieces: vec![9; 32],
        garbage: vec![Garbage { key: left.clone(), parts: None }],
        ..checkpoint((24 << 20) + 5)
    };
    assert!(state.checkpoint_upload(upload.id, claim, second).await.unwrap());

    let found = take(&other, &upload, LEASE_US).await;
    assert_eq!(found.offset_bytes, (24 << 20) + 5);
    assert_eq!(found.hash_state, Some(HashState(vec![1, 2, 3])));
    assert_eq!((found.tail, found.pieces.as_slice()), (Some(Tail { generation: 1, size_bytes: 5 }), [9; 32].as_slice()));
    let assembly = found.assembly.unwrap();
    assert_eq!((assembly.generation, assembly.id.0.as_str(), assembly.is_sealed), (1, "many", true));
    assert_eq!(assembly.parts, [part(1), part(2), part(3)]);
    assert_eq!(garbage(&other).await, [left]);
    assert_eq!(other.upload_status(&upload.repository, upload.id).await.unwrap().unwrap().offset_bytes, (24 << 20) + 5);
}

async fn parts_are_replaced_with_their_object(subject: Subject) {
    let state = &subject.state;
    let (upload, claim) = begin(state, "a/b").await;
    let first = Checkpoint {
        assembly: Some((1, PartsId("old".to_owned()), true)),
        new_parts: vec![part(1), part(2), part(3)],
        ..checkpoint(20 << 20)
    };
    state.checkpoint_upload(upload.id, claim, first).await.unwrap();
    let held = take(state, &upload, LEASE_US).await;
    let second = Checkpoint {
        assembly: Some((2, PartsId("new".to_owned()), false)),
        new_parts: vec![part(1)],
        replaces_parts: true,
        ..checkpoint(20 << 20)
    };
    assert!(state.checkpoint_upload(upload.id, held.claim, second).await.unwrap());
    let assembly = take(state, &upload, LEASE_US).await.assembly.unwrap();
    assert_eq!((assembly.generation, assembly.id.0.as_str(), assembly.parts), (2, "new", vec![part(1)]));
}

async fn the_algorithm_is_settled_by_the_first_byte(subject: Subject) {
    let state = &subject.state;
    let (upload, claim) = begin(state, "a/b").await;
    state.checkpoint_upload(upload.id, claim, checkpoint(0)).await.unwrap();
    let long = |upload: &NewUpload| ClaimWish { algorithm: Some(Algorithm::Sha512), ..wish(upload, LEASE_US) };
    let Claim::Taken(held) = state.claim_upload(long(&upload)).await.unwrap() else { panic!("it is free") };
    assert_eq!(held.algorithm, Algorithm::Sha512);
    state.checkpoint_upload(upload.id, held.claim, checkpoint(1)).await.unwrap();
    let short = ClaimWish { algorithm: Some(Algorithm::Sha256), ..wish(&upload, LEASE_US) };
    let Claim::Taken(held) = state.claim_upload(short).await.unwrap() else { panic!("it is free") };
    assert_eq!(held.algorithm, Algorithm::Sha512);

    // Where something may have been written its key says how it was to be hashed, and must not be forgotten.
    for (has_written, expected) in [(false, Algorithm::Sha512), (true, Algorithm::Sha256)] {
        let (upload, claim) = begin(state, "a/b").await;
        state.release_claim(upload.id, claim, has_written).await.unwrap();
        let Claim::Taken(held) = state.claim_upload(long(&upload)).await.unwrap() else { panic!("it is free") };
        assert_eq!(held.algorithm, expected);
    }
    let (upload, claim) = begin(state, "a/b").await;
    state.renew_claim(upload.id, claim, -1).await.unwrap();
    let Claim::Taken(held) = state.claim_upload(long(&upload)).await.unwrap() else { panic!("its claim has lapsed") };
    assert_eq!(held.algorithm, Algorithm::Sha256);
}

async fn a_cancelled_upload_gives_up_its_bytes(subject: Subject) {
    let state = &subject.state;
    let (upload, claim) = begin(state, "a/b").await;
    let cancel = async |id, claim| state.cancel_upload(&upload.repository, id, claim).await.unwrap();
    assert_eq!(cancel(upload.id, None).await, Cancelled::Busy);
    assert_eq!(cancel(Uuid::now_v7(), None).await, Cancelled::Unknown);
    assert_eq!(state.cancel_upload(&repository("a/c"), upload.id, None).await.unwrap(), Cancelled::Unknown);
    let at =
        Checkpoint { assembly: Some((1, PartsId("many".to_owned()), false)), new_parts: vec![part(1)], ..checkpoint(8 << 20) };
    state.checkpoint_upload(upload.id, claim, at).await.unwrap();
    let held = take(state, &upload, LEASE_US).await;
    assert_eq!(cancel(upload.id, Some(held.claim)).await, Cancelled::Done);
    assert_eq!(cancel(upload.id, Some(held.claim)).await, Cancelled::Unknown);

    assert_eq!(state.count_uploads().await.unwrap(), 0);
    assert_eq!(subject.count("upload_parts").await, 0);
    let left = state.due_garbage(100).await.unwrap();
    assert!(left.contains(&Garbage { key: held.parts_key(1), parts: Some(PartsId("many".to_owned())) }));
    for key in [held.parts_key(1), held.tail_key(1), held.parts_key(2), held.tail_key(2)] {
        assert!(left.contains(&Garbage { key: key.clone(), parts: None }), "{key} may have been written");
    }
    assert_eq!(left.len(), 5);
}

async fn idle_uploads_expire(subject: Subject) {
    let state = &subject.state;
    let (long_ago, soon) = (Timestamp::now() - 1.hour(), Timestamp::now() + 1.hour());
    let (held, _) = begin(state, "a/b").await;
    let (lapsed, claim) = begin(state, "a/b").await;
    state.release_claim(lapsed.id, claim, true).await.unwrap();
    for _ in 0..3 {
        let (idle, claim) = begin(state, "a/b").await;
        state.checkpoint_upload(idle.id, claim, checkpoint(1)).await.unwrap();
    }
    assert_eq!(state.expire_uploads(long_ago, 100).await.unwrap(), 0);
    let mut expired = 0;
    for _ in 0..10 {
        expired += state.expire_uploads(soon, 3).await.unwrap();
    }
    assert_eq!(expired, 4);
    assert!(state.is_upload_open(held.id).await.unwrap(), "it is being written to");
    assert_eq!(garbage(state).await.len(), 8, "two objects for each claim there was");
}

async fn a_commit_makes_a_blob(subject: Subject) {
    let state = &subject.state;
    let first = commit(state, "a/b", "content").await;
    let found = state.blob(&repository("a/b"), &super::samples::digest("content")).await.unwrap().unwrap();
    assert_eq!((found.size_bytes, &found.key, found.pieces.as_ref()), (7, &first, [7; 32].as_slice()));
    assert_eq!(state.count_uploads().await.unwrap(), 0);
    assert!(garbage(state).await.is_empty());

    let (upload, claim) = begin(state, "c/d").await;
    let mut second = whole(&upload, claim, "content");
    let left = upload.clone().claimed(claim).parts_key(1);
    second.garbage.push(Garbage { key: left.clone(), parts: Some(PartsId("many".to_owned())) });
    assert!(state.commit_blob(second.clone()).await.unwrap());
    assert!(!state.commit_blob(second.clone()).await.unwrap(), "there is one commit to an upload");
    let found = state.blob(&repository("c/d"), &second.digest).await.unwrap().unwrap();
    assert_eq!(found.key, first, "the object that was first is kept");
    let mut lost = vec![second.key, left];
    lost.sort();
    assert_eq!(record_links(state).await, 1);
    assert_eq!(garbage(state).await, lost);
    assert_eq!(subject.count("blobs").await, 1);
}

async fn a_commit_replaces_what_is_damaged(subject: Subject) {
    let state = &subject.state;
    let damaged = commit(state, "a/b", "content").await;
    let again = async |damaged: &ObjectKey| {
        let (upload, claim) = begin(state, "a/b").await;
        let commit = crate::state::BlobCommit { damaged: Some(damaged.clone()), ..whole(&upload, claim, "content") };
        let key = commit.key.clone();
        assert!(state.commit_blob(commit).await.unwrap());
        key
    };
    let sound = again(&damaged).await;
    let there = async || state.blob(&repository("a/b"), &super::samples::digest("content")).await.unwrap().unwrap().key;
    assert_eq!(record_links(state).await, 1);
    assert_eq!((there().await, garbage(state).await), (sound.clone(), vec![damaged.clone()]));
    let late = again(&damaged).await;
    assert_eq!(there().await, sound, "somebody else has replaced it already");
    assert!(garbage(state).await.contains(&late));
}

/// An upload that nobody holds and whose content lies in one object.
async fn lie_whole(state: &SharedState, name: &str, content: &str) -> NewUpload {
    let (upload, claim) = begin(state, name).await;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(content.as_bytes());
    let size_bytes = content.len() as u64;
    let tail = Some(Tail { generation: 1, size_bytes });
    let whole = Checkpoint { hash_state: hasher.state(), tail, pieces: vec![7; 32], ..checkpoint(size_bytes) };
    assert!(state.checkpoint_upload(upload.id, claim, whole).await.unwrap());
    upload
}

fn finish(upload: &NewUpload, content: &str) -> FinishUpload {
    FinishUpload {
        id: upload.id,
        repository: upload.repository.clone(),
        digest: digest(content),
        damaged: None,
        garbage_due_at: Timestamp::now(),
    }
}

async fn what_lies_whole_is_finished_in_one_step(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let upload = lie_whole(state, "a/b", "content").await;
    assert_eq!(other.finish_upload(finish(&upload, "content")).await.unwrap(), Finished::Done);
    let blob = state.blob(&upload.repository, &digest("content")).await.unwrap().unwrap();
    assert_eq!((blob.size_bytes, blob.pieces.as_ref()), (7, [7; 32].as_slice()));
    assert_eq!(blob.key, upload.clone().claimed(Uuid::nil()).tail_key(1));
    assert!(garbage(state).await.is_empty());
    assert_eq!(subject.events().await.len(), 1);
    assert_eq!(state.finish_upload(finish(&upload, "content")).await.unwrap(), Finished::NotYet, "there is none any more");

    let again = lie_whole(state, "c", "content").await;
    assert_eq!(state.finish_upload(finish(&again, "content")).await.unwrap(), Finished::Done);
    assert_eq!(state.blob(&again.repository, &digest("content")).await.unwrap().unwrap().key, blob.key, "the first object stays");
    assert_eq!(record_links(state).await, 1);
    assert_eq!(garbage(state).await, [again.claimed(Uuid::nil()).tail_key(1)]);
}

async fn what_does_not_lie_whole_takes_a_writer(subject: Subject) {
    let state = &subject.state;
    let upload = lie_whole(state, "a/b", "content").await;
    let elsewhere = FinishUpload { repository: repository("a/c"), ..finish(&upload, "content") };
    let otherwise = FinishUpload { digest: Digest::of(Algorithm::Sha512, b"content"), ..finish(&upload, "content") };
    for finish in [elsewhere, otherwise] {
        assert_eq!(state.finish_upload(finish).await.unwrap(), Finished::NotYet);
    }
    let claimed = take(state, &upload, LEASE_US).await;
    assert_eq!(state.finish_upload(finish(&upload, "content")).await.unwrap(), Finished::NotYet, "somebody holds it");
    let in_parts = Checkpoint {
        hash_state: claimed.hash_state.clone().unwrap(),
        assembly: Some((2, PartsId("many".to_owned()), false)),
        new_parts: vec![part(1)],
        tail: claimed.tail,
        ..checkpoint(8 << 20)
    };
    assert!(state.checkpoint_upload(upload.id, claimed.claim, in_parts).await.unwrap());
    assert_eq!(state.finish_upload(finish(&upload, "content")).await.unwrap(), Finished::NotYet, "it is in parts");
    let (empty, claim) = begin(state, "a/b").await;
    assert!(state.checkpoint_upload(empty.id, claim, checkpoint(0)).await.unwrap());
    assert_eq!(state.finish_upload(finish(&empty, "")).await.unwrap(), Finished::NotYet, "there is no object yet");
    assert_eq!(state.count_uploads().await.unwrap(), 2);
}

async fn a_finished_upload_of_another_digest_is_gone(subject: Subject) {
    let state = &subject.state;
    let upload = lie_whole(state, "a/b", "content").await;
    let outcome = state.finish_upload(finish(&upload, "other")).await.unwrap();
    assert_eq!(outcome, Finished::Mismatch(digest("content")));
    assert!(state.upload_status(&upload.repository, upload.id).await.unwrap().is_none());
    assert!(state.blob(&upload.repository, &digest("content")).await.unwrap().is_none());
    let claimed = upload.claimed(Uuid::nil());
    assert_eq!(garbage(state).await, [claimed.parts_key(1), claimed.tail_key(1)]);
}

async fn what_lapsed_claims_wrote_goes_with_the_commit(subject: Subject) {
    let state = &subject.state;
    // The first claim runs out, the second is given up without a checkpoint; each may have written something.
    let (upload, claim) = begin(state, "a/b").await;
    state.renew_claim(upload.id, claim, 1).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let second = take(state, &upload, LEASE_US).await;
    state.release_claim(upload.id, second.claim, true).await.unwrap();
    let third = take(state, &upload, LEASE_US).await;
    let key = third.tail_key(3);
    let commit = BlobCommit { key: key.clone(), ..whole(&upload, third.claim, "content") };
    assert!(state.commit_blob(commit).await.unwrap());
    let expected: Vec<_> = (1..=3).flat_map(|claim| [third.parts_key(claim), third.tail_key(claim)]).collect();
    assert_eq!(garbage(state).await, expected.into_iter().filter(|other| *other != key).collect::<Vec<_>>());
}
