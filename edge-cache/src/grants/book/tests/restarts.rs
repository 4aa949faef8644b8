use longshore_service::metrics::Metrics;
use tempfile::TempDir;

use super::*;
use crate::store::{StoreMetrics, StoreSettings};

/// A store, of which a book that is opened after another has what that one wrote down.
fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _keeper) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&Metrics::new())).unwrap();
    (folder, store)
}

fn other_manifest() -> Question {
    Question { what: What::Manifest(digest("2")), ..manifest(Who::Anybody) }
}

#[tokio::test]
async fn what_anybody_could_have_is_stale_after_a_restart_and_nothing_else() {
    let (_folder, store) = store();
    let (before, now) = (book_in(Some(store.clone())), Now::read());
    let (open, own) = ([blob(Who::Anybody), manifest(Who::Anybody)], [blob(who("alice")), manifest(who("alice"))]);
    for question in open.iter().chain(&own) {
        before.grant(question, PLAIN, now);
    }
    let after = book_in(Some(store));
    for question in &open {
        let granted = |sureness, now| after.grants(question, sureness, now);
        let last = PUBLIC_STALE.saturating_sub(Duration::from_secs(1));
        assert!(!granted(Sureness::Fresh, now), "the upstream may have closed it");
        assert!(granted(Sureness::Stale, now) && granted(Sureness::Stale, later(now, last)));
        assert!(!granted(Sureness::Stale, later(now, PUBLIC_STALE)));
        let earlier = Now { time: now.time - Duration::from_secs(1), ..now };
        assert!(!granted(Sureness::Stale, earlier), "in the future nothing was seen");
    }
    for question in own.iter().chain([&other_manifest()]) {
        assert!(SURENESS.iter().all(|sureness| !after.grants(question, *sureness, now)), "{question:?}");
    }
}

#[tokio::test]
async fn what_was_closed_is_closed_after_a_restart() {
    let closings: [fn(&Book, &Question); 4] = [
        |book, question| book.refuse(question, Closes::Repository, Now::read()),
        |book, question| book.refuse(question, Closes::This, Now::read()),
        |book, question| book.forget(&question.place, &digest("1"), Timestamp::now()),
        |book, question| book.forget_all(&question.place.upstream),
    ];
    for close in closings {
        let (_folder, store) = store();
        let (before, closed, other) = (book_in(Some(store.clone())), manifest(Who::Anybody), other_manifest());
        let is_stale = |question: &Question| book_in(Some(store.clone())).grants(question, Sureness::Stale, Now::read());
        before.grant(&closed, PLAIN, Now::read());
        assert!(is_stale(&closed));
        close(&before, &closed);
        assert!(!is_stale(&closed));
        // The repository is open again, which says nothing of what was closed.
        before.grant(&other, PLAIN, Now::read());
        assert!(!is_stale(&closed) && is_stale(&other));
        before.grant(&closed, PLAIN, Now::read());
        assert!(is_stale(&closed));
    }
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_a_change_is_not_written_down() {
    let (_folder, store) = store();
    let (before, question, asked_at) = (book_in(Some(store.clone())), manifest(Who::Anybody), Now::read());
    before.forget(&question.place, &digest("1"), Timestamp::now());
    before.grant(&question, PLAIN, asked_at);
    assert!(!book_in(Some(store)).grants(&question, Sureness::Stale, Now::read()));
}

#[tokio::test]
async fn what_a_repository_had_before_a_reset_is_asked_anew_after_a_restart() {
    let (_folder, store) = store();
    let (before, shared) = (book_in(Some(store.clone())), blob(Who::Shared));
    let is_fresh = |book: &Book| book.grants(&shared, Sureness::Fresh, Now::read());
    before.grant(&shared, PLAIN, Now::read());
    assert!(is_fresh(&before) && is_fresh(&book_in(Some(store.clone()))));
    before.forget_all(&shared.place.upstream);
    let after = book_in(Some(store));
    assert!(!is_fresh(&before) && !is_fresh(&after));
    assert!(after.grants(&shared, Sureness::Stale, Now::read()), "nobody can be asked");
    after.grant(&shared, PLAIN, Now::read());
    assert!(is_fresh(&after), "it was written down anew");
}

#[tokio::test]
async fn what_its_upstream_says_is_over_is_so_after_a_restart() {
    let (_folder, store) = store();
    let (before, now) = (book_in(Some(store.clone())), Now::read());
    let (short, long, blob) = (manifest(Who::Anybody), other_manifest(), blob(Who::Anybody));
    before.grant(&blob, PLAIN, now);
    before.grant(&short, told(10, 60), now);
    before.grant(&long, told(10, VerdictLifetime::LONGEST.as_secs()), now);
    let after = book_in(Some(store.clone()));
    let believed = |book: &Book, question: &Question, by| book.believed(question, Sureness::Stale, later(now, secs(by)));
    for book in [&before, &after] {
        assert!(believed(book, &short, 59).is_some() && believed(book, &short, 60).is_none());
        assert!(believed(book, &long, 60).is_some() && believed(book, &blob, 60).is_some(), "of others that says nothing");
        assert!(believed(book, &long, PUBLIC_STALE.as_secs()).is_none(), "for no longer than the cache is set to");
    }
    let left = believed(&after, &short, 20).unwrap().lifetime;
    assert_eq!(left, told(0, 40).lifetime, "nobody knows that it is fresh");
    before.grant(&long, told(10, 100), now);
    let after = book_in(Some(store));
    assert!(believed(&after, &long, 99).is_some() && believed(&after, &long, 100).is_none());
}
