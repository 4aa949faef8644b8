//! What an upstream has signed of a manifest, while it is down.

use super::*;
use crate::statements::Vouched;

/// What upstream `a` said of manifest 1 at a time, for so many seconds.
fn vouch(book: &Book, now: Now, seconds: i64) {
    let issued_at = now.time.as_second();
    let said = ManifestVoucher {
        issued_at,
        repository: "team/app".parse().unwrap(),
        digest: digest("1"),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        tag: None,
        is_whole: true,
        stale_until: issued_at + seconds,
    };
    let place = manifest(Who::Shared).place;
    book.note_vouched(&place, &said, [(digest("blob"), 7)].into_iter());
    book.statements().add_manifest(&place.upstream, Vouched { text: "signed".into(), said });
}

fn its_blob(who: Who) -> Question {
    ask("a", "team/app", What::Blob(digest("blob")), who)
}

#[test]
fn a_signed_word_opens_a_manifest_to_who_may_pull_and_to_nobody_else() {
    let (book, now) = (book(), Now::read());
    vouch(&book, now, 100);
    let granted = |question: &Question, after| book.grants(question, Sureness::Stale, later(now, secs(after)));
    assert!(granted(&manifest(Who::Shared), 98) && !granted(&manifest(Who::Shared), 101));
    assert!(!granted(&manifest(who("alice")), 1) && !granted(&manifest(Who::Anybody), 1), "nobody has let them in");
    assert!(SURENESS.iter().all(|sureness| !book.grants(&manifest(who("alice")), *sureness, now)));
    book.grant(&ask("a", "team/app", What::Blob(digest("2")), who("alice")), PLAIN, now);
    assert!(granted(&manifest(who("alice")), 98) && !granted(&manifest(who("alice")), 101));
    assert!(!granted(&manifest(who("mallory")), 1));
    assert!(!book.grants(&manifest(Who::Shared), Sureness::Fresh, now), "an upstream that can be asked is asked");
    let elsewhere = ask("a", "team/other", What::Manifest(digest("1")), Who::Shared);
    assert!(!granted(&elsewhere, 1));
}

#[test]
fn it_tells_how_long_it_holds() {
    let (book, now) = (book(), Now::read());
    vouch(&book, now, 100);
    let believed = book.believed(&manifest(Who::Shared), Sureness::Stale, later(now, secs(40))).unwrap();
    let lifetime = believed.lifetime.unwrap();
    assert_eq!(lifetime.max_age, Duration::ZERO);
    assert!((58..=60).contains(&lifetime.stale_if_error.as_secs()), "{lifetime}");
}

#[test]
fn what_it_says_of_blobs_is_the_upstream_s_word() {
    let (book, now) = (book(), Now::read());
    vouch(&book, now, 100);
    assert!(book.grants(&its_blob(Who::Shared), Sureness::Fresh, now));
    assert!(!book.grants(&its_blob(who("alice")), Sureness::Fresh, now), "it says nothing of who may pull");
    assert_eq!(book.link(&its_blob(Who::Shared).place, &its_blob(Who::Shared).what).unwrap().size_bytes, Some(7));
    book.forget_all(&"a".into());
    assert!(!book.is_linked_now(&its_blob(Who::Shared).place, &its_blob(Who::Shared).what), "it may have changed since");
    vouch(&book, now, 100);
    assert!(!book.is_linked_now(&its_blob(Who::Shared).place, &its_blob(Who::Shared).what), "an old word is no news");
}

#[test]
fn a_word_from_before_its_upstream_was_followed_counts_while_that_is_down() {
    let (book, now) = (book(), Now::read());
    book.ask_all_anew(&"a".into());
    let before = Now { time: now.time - secs(30), ..now };
    vouch(&book, before, 100);
    for question in [manifest(Who::Shared), its_blob(Who::Shared)] {
        assert!(book.grants(&question, Sureness::Stale, now), "{question:?}");
        assert!(!book.grants(&question, Sureness::Fresh, now), "{question:?} may have changed since");
        assert!(!book.is_linked_now(&question.place, &question.what), "{question:?} is no news");
    }
    assert!(!book.grants(&manifest(Who::Shared), Sureness::Stale, later(now, secs(71))), "it is over");
}

#[test]
fn a_word_that_was_taken_back_counts_by_no_neighbour() {
    let taken_back: [fn(&Book); 4] = [
        |book| book.forget(&manifest(Who::Shared).place, &digest("1"), Timestamp::now()),
        |book| book.forget_all(&"a".into()),
        |book| book.refuse(&manifest(Who::Shared), Closes::This, Now::read()),
        |book| book.refuse(&manifest(Who::Shared), Closes::Missing, Now::read()),
    ];
    for (number, take_back) in taken_back.iter().enumerate() {
        let (book, now) = (book(), Now::read());
        take_back(&book);
        // What follows says nothing of that.
        book.ask_all_anew(&"a".into());
        for seconds in [0, 30] {
            vouch(&book, Now { time: now.time - secs(seconds), ..now }, 100);
            assert!(!book.grants(&manifest(Who::Shared), Sureness::Stale, now), "{number}: {seconds}");
        }
    }
}

#[test]
fn a_blob_that_was_deleted_is_not_there_by_a_manifest_s_word() {
    let (book, now) = (book(), Now::read());
    book.forget(&its_blob(Who::Shared).place, &digest("blob"), Timestamp::now());
    vouch(&book, now, 100);
    assert!(book.grants(&manifest(Who::Shared), Sureness::Stale, now));
    assert!(SURENESS.iter().all(|sureness| !book.grants(&its_blob(Who::Shared), *sureness, now)));
}

#[test]
fn an_upstream_that_says_otherwise_takes_its_word_back() {
    for closes in [Closes::This, Closes::Missing] {
        let (book, now) = (book(), Now::read());
        vouch(&book, now, 100);
        book.refuse(&manifest(Who::Shared), closes, now);
        assert!(!book.grants(&manifest(Who::Shared), Sureness::Stale, now), "{closes:?}");
        assert!(book.statements().manifest(&manifest(Who::Shared).place, &digest("1")).is_none(), "{closes:?}");
    }
    let (book, now) = (book(), Now::read());
    vouch(&book, now, 100);
    book.forget(&manifest(Who::Shared).place, &digest("1"), Timestamp::now());
    assert!(!book.grants(&manifest(Who::Shared), Sureness::Stale, now));
}

#[test]
fn who_may_not_pull_takes_nothing_away_from_others() {
    let (book, now) = (book(), Now::read());
    vouch(&book, now, 100);
    book.refuse(&manifest(who("mallory")), Closes::Repository, now);
    for closes in [Closes::Missing, Closes::This] {
        book.refuse(&manifest(who("mallory")), closes, now);
    }
    assert!(book.grants(&manifest(Who::Shared), Sureness::Stale, now));
}
