//! Many at once, on PostgreSQL from two replicas.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use jiff::{Timestamp, ToSpan as _};
use longshore_oci::Reference;
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    Subject,
    journal::Journal,
    on_every_database,
    samples::{at_tag, begin, commit, delete, digest, garbage, image, push, put, record_links, repository, tag, whole},
};
use crate::state::{Claim, ClaimWish, PutManifest, SharedState};

on_every_database!(
    one_of_many_commits_is_kept,
    the_greatest_revision_has_the_tag,
    one_manifest_pushed_by_many_is_one,
    one_of_many_claims_is_taken,
    a_blob_deleted_everywhere_at_once_is_gone,
    a_blob_pushed_while_it_is_deleted_is_whole,
    a_blob_mounted_while_it_is_deleted_is_whole,
    a_manifest_pushed_while_its_blob_is_deleted_is_whole,
    pushes_and_deletions_leave_what_can_be_played_back,
);

const TASKS: usize = 32;

/// Runs tasks that begin together, each on one of the replicas in turn; what they came to, by number.
async fn together<T, F>(subject: &Subject, count: usize, task: impl Fn(usize, SharedState) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let replicas = [subject.state.clone(), subject.replica().await];
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (start, work) = (start.clone(), task(number, replicas[number % 2].clone()));
        tasks.spawn(async move {
            start.wait().await;
            (number, work.await)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, value)| value).collect()
}

async fn one_of_many_commits_is_kept(subject: Subject) {
    let keys = together(&subject, TASKS, |number, state| async move {
        let name = format!("team/{}", number % 5);
        commit(&state, &name, "content").await
    })
    .await;
    assert_eq!((subject.count("blobs").await, subject.count("repository_blobs").await), (1, 5));
    let mut found = BTreeSet::new();
    for number in 0..5 {
        let name = repository(&format!("team/{number}"));
        found.insert(subject.state.blob(&name, &digest("content")).await.unwrap().unwrap().key);
    }
    let kept = found.pop_first().unwrap();
    assert!(found.is_empty() && keys.contains(&kept));
    let mut lost: Vec<_> = keys.into_iter().filter(|key| *key != kept).collect();
    lost.sort();
    assert_eq!(record_links(&subject.state).await, 4, "all but the one whose object is kept");
    assert_eq!(garbage(&subject.state).await, lost);
    assert_eq!(subject.count("events").await, TASKS);
}

async fn the_greatest_revision_has_the_tag(subject: Subject) {
    let pushes = together(&subject, TASKS, |number, state| async move {
        let content = image(&format!("config {number}"), &[]);
        let revision = state.begin_change(&repository("a/b")).await.unwrap();
        // Some take long between their number and their transaction.
        for _ in 0..number % 7 {
            tokio::task::yield_now().await;
        }
        let put = push("a/b", &content, &["latest", "stable"], revision);
        state.put_manifest(put.clone()).await.unwrap();
        (revision, put.digest)
    })
    .await;
    let newest = pushes.into_iter().max().unwrap().1;
    for name in ["latest", "stable"] {
        assert_eq!(at_tag(&subject.state, "a/b", name).await.as_ref(), Some(&newest));
    }
    assert_eq!((subject.count("manifests").await, subject.count("tag_history").await), (TASKS, 2 * TASKS));
}

async fn one_manifest_pushed_by_many_is_one(subject: Subject) {
    together(&subject, TASKS, |number, state| async move {
        put(&state, "a/b", &image("config", &["layer"]), &[&format!("v{number:02}")]).await
    })
    .await;
    assert_eq!((subject.count("manifests").await, subject.count("manifest_edges").await), (1, 2));
    assert_eq!(subject.count("tags").await, TASKS);
}

async fn one_of_many_claims_is_taken(subject: Subject) {
    let (upload, claim) = begin(&subject.state, "a/b").await;
    subject.state.release_claim(upload.id, claim, true).await.unwrap();
    let claims = together(&subject, TASKS, |_, state| {
        let (id, repository) = (upload.id, upload.repository.clone());
        async move {
            let wish = ClaimWish { id, repository, algorithm: None, claim: uuid::Uuid::now_v7(), lease_us: 60_000_000 };
            state.claim_upload(wish).await.unwrap()
        }
    })
    .await;
    let taken: Vec<_> = claims.iter().filter(|claim| matches!(claim, Claim::Taken(_))).collect();
    assert_eq!(taken.len(), 1, "{claims:?}");
    assert!(claims.iter().all(|claim| !matches!(claim, Claim::Unknown)));
}

async fn a_blob_deleted_everywhere_at_once_is_gone(subject: Subject) {
    for round in 0..20 {
        let content = format!("content {round}");
        for number in 0..4 {
            commit(&subject.state, &format!("team/{number}"), &content).await;
        }
        let deletions = together(&subject, 8, |number, state| {
            let content = content.clone();
            async move { delete(&state, &format!("team/{}", number % 4), &content, Timestamp::now()).await.unwrap() }
        })
        .await;
        assert_eq!(deletions.iter().filter(|is_deleted| **is_deleted).count(), 4);
        assert_eq!(subject.count("blobs").await, 0, "the last one out takes the bytes along");
    }
    assert_eq!(subject.count("garbage").await, 80);
}

async fn a_blob_pushed_while_it_is_deleted_is_whole(subject: Subject) {
    let name = repository("a/b");
    for _ in 0..10 {
        commit(&subject.state, "a/b", "content").await;
        let (uploads, name_of) = ([begin(&subject.state, "a/b").await, begin(&subject.state, "c").await], &name);
        let uploads = &uploads;
        together(&subject, 4, |number, state| {
            let (pushed, name) = (uploads.get(number).cloned(), name_of.clone());
            async move {
                match pushed {
                    Some((upload, claim)) => assert!(state.commit_blob(whole(&upload, claim, "content")).await.unwrap()),
                    None => drop(delete(&state, name.as_str(), "content", Timestamp::now()).await.unwrap()),
                }
            }
        })
        .await;
        let left = garbage(&subject.state).await;
        for name in [&name, &repository("c")] {
            let found = subject.state.blob(name, &digest("content")).await.unwrap();
            assert!(found.is_none_or(|blob| !left.contains(&blob.key)), "a blob whose bytes are to go");
        }
        assert!(
            subject.state.blob(&repository("c"), &digest("content")).await.unwrap().is_some(),
            "what was pushed there is there"
        );
        subject.state.clear().await.unwrap();
    }
}

async fn a_blob_mounted_while_it_is_deleted_is_whole(subject: Subject) {
    for _ in 0..20 {
        let key = commit(&subject.state, "from", "content").await;
        let answers = together(&subject, 2, |number, state| async move {
            if number == 0 {
                return state.mount_blob(&repository("to"), Some(&repository("from")), &digest("content")).await.unwrap();
            }
            delete(&state, "from", "content", Timestamp::now() - 1.second()).await.unwrap();
            false
        })
        .await;
        let mounted = subject.state.blob(&repository("to"), &digest("content")).await.unwrap();
        assert_eq!(answers[0], mounted.is_some());
        assert_eq!(garbage(&subject.state).await.contains(&key), mounted.is_none());
        subject.state.clear().await.unwrap();
    }
}

async fn a_manifest_pushed_while_its_blob_is_deleted_is_whole(subject: Subject) {
    let name = repository("a/b");
    for _ in 0..20 {
        for content in ["config", "layer"] {
            commit(&subject.state, "a/b", content).await;
        }
        let revision = subject.state.begin_change(&name).await.unwrap();
        let outcomes = together(&subject, 2, |number, state| async move {
            if number == 0 {
                let push = push("a/b", &image("config", &["layer"]), &["latest"], revision);
                return state.put_manifest(PutManifest { must_be_whole: true, ..push }).await.is_ok();
            }
            delete(&state, "a/b", "layer", Timestamp::now()).await.is_ok_and(|is_deleted| is_deleted)
        })
        .await;
        assert_ne!(outcomes[0], outcomes[1], "one of them came first, and the other was refused");
        assert_eq!(at_tag(&subject.state, "a/b", "latest").await.is_some(), outcomes[0]);
        subject.state.clear().await.unwrap();
    }
}

async fn pushes_and_deletions_leave_what_can_be_played_back(subject: Subject) {
    let journal = Arc::new(Journal::default());
    let contents: Arc<Vec<Bytes>> = Arc::new((0..3).map(|number| image(&format!("config {number}"), &[])).collect());
    together(&subject, 12, |number, state| {
        let (journal, contents) = (journal.clone(), contents.clone());
        async move {
            let name = repository("a/b");
            for turn in 0..15 {
                let content = &contents[(number + turn) % 3];
                match (number + turn) % 6 {
                    0..3 => drop(journal.push(&state, "a/b", content, &["latest", "v1"]).await),
                    3 => drop(journal.push(&state, "a/b", content, &[]).await),
                    4 => drop(journal.untag(&state, &name, &tag("latest")).await),
                    _ => {
                        let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, content);
                        journal.delete(&state, &name, &digest).await;
                    }
                }
                if number == 0 {
                    // One sweeper, so that nothing is deleted twice.
                    state.retire_records(100).await.unwrap();
                    journal.sweep(&state, |_| false).await;
                }
            }
        }
    })
    .await;
    for name in subject.state.tags(&repository("a/b"), "", 10).await.unwrap().unwrap() {
        let reference = Reference::Tag(name.parse().unwrap());
        assert!(subject.state.manifest(&repository("a/b"), &reference).await.unwrap().is_some());
    }
    let live = Journal::shown(&subject).await;
    journal.settle(&subject.state).await;
    journal.replay(&subject.state, &[]).await;
    assert_eq!(Journal::shown(&subject).await, live);
}
