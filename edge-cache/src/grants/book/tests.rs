mod lifetimes;
mod restarts;
mod vouched;

use std::sync::OnceLock;

use http::HeaderValue;
use longshore_oci::{Algorithm, Digest};
use proptest::prelude::*;

use super::*;
use crate::grants::credential::CredentialKey;

const TTL: Duration = Duration::from_mins(1);
const STALE: Duration = Duration::from_mins(10);
const PUBLIC_STALE: Duration = Duration::from_hours(1);
static KEY: OnceLock<CredentialKey> = OnceLock::new();
const SURENESS: [Sureness; 2] = [Sureness::Fresh, Sureness::Stale];
/// What an upstream says that has nothing to add.
const PLAIN: Asked = Asked { size_bytes: None, lifetime: None };

fn book() -> Book {
    book_in(None)
}

/// One that is written down in a store.
fn book_in(store: Option<Store>) -> Book {
    let settings = GrantSettings { ttl: TTL, stale: STALE, public_stale: PUBLIC_STALE, most: 1_000, most_asked: 100 };
    Book::new(settings, store).unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn who(name: &str) -> Who {
    let key = KEY.get_or_init(CredentialKey::generate);
    Who::Credential(key.hash(&HeaderValue::from_str(name).unwrap()))
}

fn ask(upstream: &str, repository: &str, what: What, who: Who) -> Question {
    let place = Place { upstream: upstream.into(), repository: repository.parse().unwrap() };
    Question { place, what, who, ends_at: None, is_covered: false }
}

fn blob(who: Who) -> Question {
    ask("a", "team/app", What::Blob(digest("1")), who)
}

fn manifest(who: Who) -> Question {
    ask("a", "team/app", What::Manifest(digest("1")), who)
}

fn later(now: Now, by: Duration) -> Now {
    Now { at: now.at + by, time: now.time + by }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What an upstream says of a manifest that holds for so many seconds, and for so many while nobody can be asked.
fn told(max_age: u64, stale_if_error: u64) -> Asked {
    Asked { lifetime: Some(VerdictLifetime::new(secs(max_age), secs(stale_if_error))), ..PLAIN }
}

#[test]
fn what_one_may_have_opens_it_for_no_other() {
    let now = Now::read();
    for of in [blob, manifest] {
        let (book, alice) = (book(), of(who("alice")));
        book.grant(&alice, PLAIN, now);
        assert!(book.grants(&alice, Sureness::Fresh, now));
        let through = |upstream, repository| ask(upstream, repository, alice.what.clone(), who("alice"));
        let (what, other) = match &alice.what {
            What::Blob(digest) => (What::Manifest(digest.clone()), What::Blob(super::tests::digest("2"))),
            What::Manifest(digest) => (What::Blob(digest.clone()), What::Manifest(super::tests::digest("2"))),
        };
        let others = [
            of(who("mallory")),
            of(Who::Anybody),
            through("a", "team/other"),
            through("b", "team/app"),
            Question { what, ..alice.clone() },
            Question { what: other, ..alice.clone() },
        ];
        for (number, question) in others.iter().enumerate() {
            assert!(SURENESS.iter().all(|sureness| !book.grants(question, *sureness, now)), "{number}: {question:?}");
        }
    }
}

#[test]
fn a_right_is_believed_for_its_time() {
    let (book, now) = (book(), Now::read());
    for question in [blob(who("alice")), manifest(who("alice")), blob(Who::Anybody), manifest(Who::Anybody)] {
        book.grant(&question, PLAIN, now);
        let granted = |by, sureness| book.grants(&question, sureness, later(now, by));
        let second = Duration::from_secs(1);
        assert!(granted(TTL.saturating_sub(second), Sureness::Fresh) && !granted(TTL, Sureness::Fresh));
        let stale = if question.who == Who::Anybody { PUBLIC_STALE } else { STALE };
        assert!(granted(stale.saturating_sub(second), Sureness::Stale) && !granted(stale, Sureness::Stale));
    }
}

#[test]
fn a_token_that_is_over_opens_nothing_though_its_upstream_is_down() {
    let (book, now) = (book(), Now::read());
    let ends_at = Some(now.time.as_second() + 5);
    for question in [blob(who("alice")), manifest(who("alice"))] {
        let question = Question { ends_at, ..question };
        book.grant(&question, PLAIN, now);
        // As one would ask for whom the end was not seen, too.
        for question in [question.clone(), Question { ends_at: None, ..question.clone() }] {
            for sureness in SURENESS {
                assert!(book.grants(&question, sureness, later(now, Duration::from_secs(3))));
                assert!(!book.grants(&question, sureness, later(now, Duration::from_secs(6))));
            }
        }
        let covered = Question { is_covered: true, ..question };
        assert!(!book.grants(&covered, Sureness::Stale, later(now, Duration::from_secs(6))));
    }
}

#[test]
fn a_covering_token_opens_blobs_of_its_repository_and_no_manifest() {
    let (book, now) = (book(), Now::read());
    let covered = |question| Question { is_covered: true, ..question };
    let bob = covered(blob(who("bob")));
    book.grant(&covered(blob(Who::Covered)), Asked { size_bytes: Some(3), ..PLAIN }, now);
    assert!(SURENESS.iter().all(|sureness| !book.grants(&bob, *sureness, now)), "nothing says that the token still counts");
    book.grant(&covered(Question { what: What::Blob(digest("2")), ..bob.clone() }), PLAIN, now);
    assert!(book.grants(&bob, Sureness::Fresh, now), "it counts in the repository, which has both");
    assert!(!book.grants(&bob, Sureness::Fresh, later(now, TTL)) && !book.grants(&bob, Sureness::Stale, later(now, STALE)));
    assert_eq!(book.link(&bob.place, &bob.what).unwrap().size_bytes, Some(3));
    assert!(!book.grants(&covered(blob(Who::Covered)), Sureness::Stale, now), "a question is no right");
    book.grant(&covered(manifest(who("alice"))), PLAIN, now);
    assert!(SURENESS.iter().all(|sureness| !book.grants(&covered(manifest(who("bob"))), *sureness, now)));
}

#[test]
fn what_is_shared_is_still_of_its_repository() {
    let (book, now) = (book(), Now::read());
    book.grant(&blob(who("alice")), PLAIN, now);
    let elsewhere = ask("a", "team/other", What::Blob(digest("1")), Who::Shared);
    assert!(SURENESS.iter().all(|sureness| !book.grants(&elsewhere, *sureness, now)));
    let shared = manifest(Who::Shared);
    book.grant(&shared, PLAIN, now);
    let much_later = later(now, STALE * 100);
    assert!(!book.grants(&shared, Sureness::Fresh, later(now, TTL)), "its upstream may have closed it");
    assert!(book.grants(&shared, Sureness::Stale, much_later));
}

#[test]
fn what_the_shared_account_is_refused_is_closed_to_all() {
    let now = Now::read();
    for (closes, closed) in [(Closes::This, 1), (Closes::Repository, 2)] {
        let (book, shared, layer) = (book(), manifest(Who::Shared), blob(Who::Shared));
        let open = |by: u64| {
            let open = |question: &&Question| book.grants(question, Sureness::Stale, later(now, Duration::from_secs(by)));
            [&shared, &layer].iter().filter(|question| open(question)).count()
        };
        book.grant(&shared, PLAIN, now);
        book.grant(&layer, PLAIN, now);
        assert_eq!(open(1), 2);
        book.refuse(&shared, closes, now);
        assert_eq!(open(1), 2 - closed, "{closes:?}");
        let anew = later(now, Duration::from_secs(2));
        book.grant(&shared, PLAIN, anew);
        assert_eq!(open(3), 2, "{closes:?}: it was open since");
    }
}

#[test]
fn a_refusal_ends_what_was_granted() {
    let now = Now::read();
    for of in [blob, manifest] {
        let (book, alice, bob) = (book(), of(who("alice")), of(who("bob")));
        book.grant(&alice, PLAIN, now);
        book.grant(&bob, PLAIN, now);
        book.refuse(&alice, Closes::Repository, now);
        assert!(SURENESS.iter().all(|sureness| !book.grants(&alice, *sureness, now)));
        assert!(SURENESS.iter().all(|sureness| book.grants(&bob, *sureness, now)));
        // Whoever has no right to it can't have it forgotten.
        book.refuse(&of(who("mallory")), Closes::Missing, now);
        assert!(book.grants(&bob, Sureness::Fresh, now));
        book.refuse(&bob, Closes::Missing, now);
        assert!(SURENESS.iter().all(|sureness| !book.grants(&bob, *sureness, now)));
    }
}

#[test]
fn a_right_counts_from_when_it_was_asked_for() {
    let (asked_at, alice) = (Now::read(), manifest(who("alice")));
    let forgets: [fn(&Book, &Place); 2] =
        [|book, place| book.forget(place, &digest("1"), Timestamp::now()), |book, place| book.forget_all(&place.upstream)];
    for forget in forgets {
        let book = book();
        forget(&book, &alice.place);
        // The answer was on its way meanwhile.
        book.grant(&alice, PLAIN, asked_at);
        assert!(SURENESS.iter().all(|sureness| !book.grants(&alice, *sureness, asked_at)));
        assert_eq!(book.link(&alice.place, &alice.what), None);
        let now = later(Now::read(), Duration::from_secs(1));
        book.grant(&alice, PLAIN, now);
        assert!(book.grants(&alice, Sureness::Fresh, now));
    }
}

#[test]
fn a_repository_that_was_closed_has_no_manifests_when_its_upstream_is_down() {
    let (book, now) = (book(), Now::read());
    let (one, other) = (manifest(Who::Anybody), Question { what: What::Manifest(digest("2")), ..manifest(Who::Anybody) });
    book.grant(&one, PLAIN, now);
    book.grant(&other, PLAIN, now);
    book.refuse(&one, Closes::Repository, now);
    assert!(!book.grants(&other, Sureness::Stale, now));
}

#[test]
fn what_closes_a_repository_to_somebody_closes_what_they_had_by_digest() {
    let (book, now, another) = (book(), Now::read(), manifest(who("bob")));
    let (manifest, blob) = (manifest(who("alice")), blob(who("alice")));
    for question in [&manifest, &blob, &another] {
        book.grant(question, PLAIN, now);
    }
    book.shut(&manifest.place, &manifest.who);
    let holds = |question: &Question, now| SURENESS.map(|sureness| book.grants(question, sureness, now));
    assert_eq!([holds(&manifest, now), holds(&blob, now), holds(&another, now)], [[false; 2], [false; 2], [true; 2]]);
    let now = later(Now::read(), Duration::from_secs(1));
    book.grant(&blob, PLAIN, now);
    assert_eq!((holds(&manifest, now), holds(&blob, now)), ([false; 2], [true; 2]), "it is asked anew for each manifest");
    book.grant(&manifest, PLAIN, now);
    assert_eq!(holds(&manifest, now), [true; 2]);
}

#[test]
fn a_manifest_that_is_refused_closes_no_repository() {
    let (book, now) = (book(), Now::read());
    let (unsigned, signed) = (manifest(Who::Anybody), Question { what: What::Manifest(digest("2")), ..manifest(Who::Anybody) });
    let blob = Question { what: What::Blob(digest("3")), ..blob(Who::Anybody) };
    for question in [&unsigned, &signed, &blob] {
        book.grant(question, PLAIN, now);
    }
    let asked_at = later(now, Duration::from_secs(1));
    book.refuse(&unsigned, Closes::This, asked_at);
    assert!(SURENESS.iter().all(|sureness| !book.grants(&unsigned, *sureness, asked_at)));
    assert!(SURENESS.iter().all(|sureness| book.grants(&signed, *sureness, asked_at)));
    assert!(!book.grants(&blob, Sureness::Fresh, asked_at), "the repository may be closed to them, which is asked");
    assert!(book.grants(&blob, Sureness::Stale, asked_at), "unless nobody can be asked");
    book.grant(&blob, PLAIN, later(asked_at, Duration::from_millis(1)));
    assert!(book.grants(&blob, Sureness::Fresh, later(asked_at, Duration::from_secs(1))));
    assert!(!book.grants(&unsigned, Sureness::Stale, later(asked_at, Duration::from_secs(1))));
}

#[test]
fn what_a_repository_had_before_a_reset_is_asked_anew() {
    let (book, alice) = (book(), blob(who("alice")));
    let another = Question { what: What::Blob(digest("2")), ..alice.clone() };
    let long_ago = Timestamp::now() - Duration::from_mins(30);
    book.links.add(&alice.place, &alice.what, Link { seen_at: long_ago, size_bytes: Some(3) });
    book.forget_all(&alice.place.upstream);
    let now = later(Now::read(), Duration::from_secs(1));
    // Let into the repository, which says nothing of whether it still has the blob.
    book.grant(&another, PLAIN, now);
    assert!(book.grants(&another, Sureness::Fresh, now) && !book.grants(&alice, Sureness::Fresh, now));
    assert!(book.grants(&alice, Sureness::Stale, now), "nobody can be asked");
    book.grant(&alice, Asked { size_bytes: Some(3), ..PLAIN }, now);
    assert!(book.grants(&alice, Sureness::Fresh, now), "it was written down anew");
    assert_eq!(book.link(&alice.place, &alice.what).unwrap().seen_at, now.time);
}

proptest! {
    /// Whatever was granted and refused: who may have a thing was once granted that thing, or for a blob something else of the same
    /// repository, and was not refused since, nor was the repository; of a manifest that was refused alone, other manifests are none the
    /// less theirs.
    #[test]
    fn nobody_gets_what_nobody_granted_them(
        steps in prop::collection::vec((0..3_usize, 0..2_usize, 0..2_usize, 0..3_usize, 0..3_usize, any::<bool>()), 0..40)
    ) {
        let book = book();
        let question = |upstream: usize, repository: usize, digest: usize, name: usize, is_blob: bool| {
            let digest = super::tests::digest(["1", "2", "3"][digest]);
            let what = if is_blob { What::Blob(digest) } else { What::Manifest(digest) };
            ask(["a", "b"][upstream], ["r", "s"][repository], what, [Who::Anybody, who("x"), who("y")][name].clone())
        };
        // Whether it was granted, and whether the repository was closed.
        let mut last: Vec<(Question, bool, bool)> = Vec::new();
        for (step, upstream, repository, digest, name, is_blob) in steps {
            let question = question(upstream, repository, digest, name, is_blob);
            let (now, is_closed) = (Now::read(), step == 2 || step == 1 && is_blob);
            match step {
                0 => book.grant(&question, PLAIN, now),
                _ if is_closed => book.refuse(&question, Closes::Repository, now),
                _ => book.refuse(&question, Closes::This, now),
            }
            last.push((question, step == 0, is_closed));
        }
        let now = Now::read();
        for index in 0..2 * 2 * 3 * 3 * 2 {
            let asked = question(index % 2, index / 2 % 2, index / 4 % 3, index / 12 % 3, index / 36 == 0);
            let mine = |question: &Question| question.place == asked.place && question.who == asked.who;
            let since = |is_it: &dyn Fn(&Question) -> bool| last.iter().rev().find(|(question, ..)| is_it(question)).map(|found| found.1);
            let was_let_in = since(&|question| mine(question)) == Some(true);
            let has = last.iter().any(|(question, is_granted, _)| *is_granted && question.place == asked.place && question.what == asked.what);
            let was_granted = since(&|question| mine(question) && question.what == asked.what) == Some(true);
            let mut after = last.iter().rev().take_while(|(question, ..)| !(mine(question) && question.what == asked.what));
            let was_closed = after.any(|(question, _, is_closed)| *is_closed && mine(question));
            let expected = match asked.what {
                What::Blob(_) => was_let_in && has,
                What::Manifest(_) => was_granted && !was_closed,
            };
            prop_assert_eq!(book.grants(&asked, Sureness::Fresh, now), expected, "{:?}", asked);
        }
    }
}
