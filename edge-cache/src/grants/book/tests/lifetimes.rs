//! How long a right to a manifest holds where its upstream has said so.

use super::*;

#[test]
fn what_is_told_to_hold_shortly_does_so_shortly() {
    let (book, now) = (book(), Now::read());
    for who in [who("alice"), Who::Anybody, Who::Shared] {
        let question = manifest(who);
        book.grant(&question, told(5, 20), now);
        let granted = |by, sureness| book.grants(&question, sureness, later(now, secs(by)));
        assert!(granted(4, Sureness::Fresh) && !granted(5, Sureness::Fresh), "{question:?}");
        assert!(granted(19, Sureness::Stale) && !granted(20, Sureness::Stale), "{question:?}");
        let left = |by, sureness| book.believed(&question, sureness, later(now, secs(by))).unwrap().lifetime;
        assert_eq!((left(3, Sureness::Fresh), left(15, Sureness::Stale)), (told(2, 17).lifetime, told(0, 5).lifetime));
    }
}

#[test]
fn what_holds_no_time_at_all_is_asked_each_time() {
    let (book, now, alice) = (book(), Now::read(), manifest(who("alice")));
    book.grant(&alice, told(0, 0), now);
    assert!(SURENESS.iter().all(|sureness| !book.grants(&alice, *sureness, now)));
    assert!(book.grants(&blob_of_the_same(&book, now), Sureness::Fresh, now), "it is about the image alone");
}

/// Something else of the same repository, which it is known to have.
fn blob_of_the_same(book: &Book, now: Now) -> Question {
    book.grant(&blob(who("bob")), PLAIN, now);
    blob(who("alice"))
}

#[test]
fn what_is_told_to_hold_longer_does_so_for_who_may_still_pull() {
    let hour = 3600;
    for who in [who("alice"), Who::Anybody, Who::Shared] {
        let (book, now, question) = (book(), Now::read(), manifest(who));
        book.grant(&question, told(hour, hour), now);
        let at = |by| later(now, by);
        let fresh = |by| book.grants(&question, Sureness::Fresh, at(by));
        assert!(fresh(TTL.saturating_sub(secs(1))) && !fresh(TTL), "nobody was let in since");
        // Something else of the repository, to another and to the same.
        let another = blob(super::who("bob"));
        book.grant(&another, PLAIN, at(TTL));
        assert!(!fresh(TTL + secs(1)));
        let other = Question { what: What::Manifest(digest("2")), ..question.clone() };
        book.grant(&other, told(hour, hour), at(TTL));
        assert!(fresh(TTL + secs(1)) && !fresh(TTL * 2));
        book.grant(&other, told(hour, hour), at(secs(hour - 10)));
        assert!(fresh(secs(hour - 1)) && !fresh(secs(hour)));
        book.refuse(&other, Closes::This, at(secs(hour - 9)));
        assert!(!fresh(secs(hour - 1)), "the repository may be closed to them");
        assert!(!book.grants(&other, Sureness::Fresh, at(secs(hour - 1))));
    }
}

#[test]
fn nobody_is_let_in_for_longer_than_the_cache_is_set_to() {
    let (book, now) = (book(), Now::read());
    let week = VerdictLifetime::LONGEST.as_secs();
    for (who, stale) in [(who("alice"), STALE), (Who::Anybody, PUBLIC_STALE)] {
        let question = manifest(who);
        book.grant(&question, told(week, week), now);
        let granted = |by| book.grants(&question, Sureness::Stale, later(now, by));
        assert!(granted(stale.saturating_sub(secs(1))) && !granted(stale), "{question:?}");
    }
}

#[test]
fn what_is_fresh_is_so_while_its_upstream_is_down() {
    let (book, now, alice) = (book(), Now::read(), manifest(who("alice")));
    book.grant(&alice, told(3600, 3600), now);
    book.grant(&Question { what: What::Manifest(digest("2")), ..alice.clone() }, PLAIN, later(now, STALE));
    assert!(SURENESS.iter().all(|sureness| book.grants(&alice, *sureness, later(now, STALE + secs(1)))));
}

#[test]
fn the_last_that_was_told_counts() {
    let (book, now, alice) = (book(), Now::read(), manifest(who("alice")));
    book.grant(&alice, told(30, 60), now);
    book.grant(&alice, told(5, 5), later(now, secs(1)));
    assert!(SURENESS.iter().all(|sureness| !book.grants(&alice, *sureness, later(now, secs(6)))));
    book.grant(&alice, PLAIN, later(now, secs(7)));
    assert!(book.grants(&alice, Sureness::Fresh, later(now, TTL)) && book.grants(&alice, Sureness::Stale, later(now, STALE)));
    assert_eq!(book.believed(&alice, Sureness::Fresh, later(now, secs(8))).unwrap().lifetime, None);
}

#[test]
fn what_is_shared_is_so_until_its_upstream_says_that_it_is_over() {
    let (book, now, shared) = (book(), Now::read(), manifest(Who::Shared));
    let stale = |by| book.grants(&shared, Sureness::Stale, later(now, by));
    book.grant(&shared, PLAIN, now);
    assert!(stale(STALE * 100), "nothing was said of an end");
    book.grant(&shared, told(5, 3600), now);
    assert!(stale(secs(3599)) && !stale(secs(3600)) && !stale(STALE * 100));
    let blob = blob(Who::Shared);
    book.grant(&blob, PLAIN, now);
    assert!(book.grants(&blob, Sureness::Stale, later(now, STALE * 100)));
}
