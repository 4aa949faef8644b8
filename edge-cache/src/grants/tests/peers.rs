//! Neighbours in a swarm.

use longshore_client::Secret;

use super::*;
use crate::{
    statements::{Vouched, tag_topic},
    upstream::CredentialSource,
};

const PEER: &str = "peer-a";
const PATIENT: Duration = Duration::from_secs(20);

/// A token for the pull from the repository that names the peer.
fn token() -> AccessToken {
    let now = Timestamp::now().as_second();
    AccessToken {
        issuer: "http://registry".into(),
        subject: "node".into(),
        audience: "registry".into(),
        issued_at: now,
        not_before: now,
        expires_at: now + 300,
        id: "1".into(),
        access: vec![Scope::new(Scope::REPOSITORY, "team/app", &["pull"])],
        credential: None,
        federated: None,
        peer_id: Some(PEER.into()),
    }
}

impl Bed {
    /// One whose repository is known to have blob 1, which not everybody may have.
    async fn with_blob(ttl: Duration) -> Self {
        let bed = Self::start(ttl).await;
        bed.allowed(&bed.bearer("alice"), &blob("1")).await.unwrap();
        bed
    }

    /// One whose repository was found to be public, and to have blob 1.
    async fn with_public_blob(ttl: Duration) -> Self {
        let bed = Self::start(ttl).await;
        bed.grants.memory.closed.invalidate(&bed.place());
        bed.mind.is_public.store(true, Ordering::SeqCst);
        bed.allowed(&Client::default(), &blob("1")).await.unwrap();
        bed
    }

    fn place(&self) -> Place {
        Place::new(&self.upstream, "team/app".parse().unwrap())
    }

    fn signed(&self, token: &AccessToken) -> String {
        self.key.sign(AccessToken::KIND, token)
    }

    async fn judge(&self, blob: &What, peer: &str, token: Option<&str>) -> Result<Timestamp, PeerDenied> {
        self.grants.may_peer_pull(&self.upstream, &"team/app".parse().unwrap(), blob.digest(), peer, token).await
    }

    /// How often it was asked about a blob.
    fn heads(&self) -> usize {
        self.server.heads().iter().filter(|head| head.starts_with("HEAD ")).count()
    }
}

#[tokio::test]
async fn a_peer_s_own_token_opens_what_the_repository_has() {
    let bed = Bed::with_blob(LONG).await;
    let (good, asked) = (bed.signed(&token()), bed.heads());
    let end = bed.judge(&blob("1"), PEER, Some(&good)).await.unwrap();
    assert_eq!(end.as_second(), token().expires_at);
    assert_eq!(bed.judge(&blob("2"), PEER, Some(&good)).await, Err(PeerDenied::Absent), "nobody has said that it is there");
    assert_eq!(bed.judge(&blob("1"), "peer-b", Some(&good)).await, Err(PeerDenied::Token("is another peer's")));

    let now = Timestamp::now().as_second();
    let of = |token: AccessToken| bed.signed(&token);
    let other_scope = |kind, name, action| AccessToken { access: vec![Scope::new(kind, name, &[action])], ..token() };
    let stranger = SigningKey::generate().0;
    let (_, signature) = good.rsplit_once('.').unwrap();
    let other = of(AccessToken { subject: "other".into(), ..token() });
    let (other_body, _) = other.rsplit_once('.').unwrap();
    let reason = PeerDenied::Token;
    for (text, denied) in [
        (of(AccessToken { peer_id: None, ..token() }), reason("is no peer's")),
        (of(AccessToken { peer_id: Some(String::new()), ..token() }), reason("is another peer's")),
        (of(AccessToken { expires_at: now, ..token() }), reason("does not hold now")),
        (of(AccessToken { not_before: now + 60, ..token() }), reason("does not hold now")),
        (of(AccessToken { audience: "another".into(), ..token() }), reason("is for another service")),
        (of(other_scope(Scope::REPOSITORY, "other/app", "pull")), reason("is not for a pull from the repository")),
        (of(other_scope(Scope::REPOSITORY, "team/app", "push")), reason("is not for a pull from the repository")),
        (of(other_scope(Scope::REGISTRY, "team/app", "pull")), reason("is not for a pull from the repository")),
        (of(AccessToken { access: Vec::new(), ..token() }), reason("is not for a pull from the repository")),
        (format!("{other_body}.{signature}"), reason("is not signed by the registry's keys")),
        (bed.key.sign("longshore-session.v1+jwt", &token()), reason("is not signed by the registry's keys")),
        ("no token".into(), reason("is not signed by the registry's keys")),
        (String::new(), reason("is not signed by the registry's keys")),
        ("\n".into(), reason("is not signed by the registry's keys")),
        (stranger.sign(AccessToken::KIND, &token()), PeerDenied::Unchecked),
    ] {
        assert_eq!(bed.judge(&blob("1"), PEER, Some(&text)).await, Err(denied), "{text}");
    }
    assert_eq!(bed.heads(), asked, "nobody was asked");
}

#[tokio::test]
async fn a_token_counts_while_its_registry_is_away() {
    let bed = Bed::with_blob(LONG).await;
    bed.judge(&blob("1"), PEER, Some(&bed.signed(&token()))).await.unwrap();
    let Bed { server, upstream, grants, key, .. } = bed;
    drop(server);
    let name = "team/app".parse().unwrap();
    let other = key.sign(AccessToken::KIND, &AccessToken { peer_id: Some("peer-b".into()), ..token() });
    grants.may_peer_pull(&upstream, &name, blob("1").digest(), "peer-b", Some(&other)).await.unwrap();
}

#[tokio::test]
async fn whom_tokens_are_for_is_found_out_for_who_has_a_good_one() {
    let bed = Bed::with_blob(LONG).await;
    let (asked, good, key) = (bed.heads(), bed.signed(&token()), bed.upstream.key().clone());
    bed.grants.memory.services.invalidate(&key);
    let denied = bed.judge(&blob("1"), "peer-b", Some(&good)).await;
    assert_eq!((denied, bed.heads()), (Err(PeerDenied::Token("is another peer's")), asked));
    bed.judge(&blob("1"), PEER, Some(&good)).await.unwrap();
    assert_eq!(bed.grants.memory.services.get(&key).as_deref(), Some("registry"));
    let other = bed.signed(&AccessToken { audience: "another".into(), ..token() });
    bed.grants.memory.services.invalidate(&key);
    bed.grants.peers.forget_asked();
    assert_eq!(bed.judge(&blob("1"), PEER, Some(&other)).await, Err(PeerDenied::Token("is for another service")));
}

#[tokio::test]
async fn what_is_public_needs_no_token() {
    let bed = Bed::with_public_blob(LONG).await;
    let asked = bed.heads();
    let end = bed.judge(&blob("1"), PEER, None).await.unwrap();
    assert!(end <= Timestamp::now() + LONG && end > Timestamp::now());
    assert_eq!(bed.judge(&blob("2"), PEER, None).await, Err(PeerDenied::Absent));
    assert_eq!(bed.heads(), asked);
    let other = "team/other".parse().unwrap();
    let denied = bed.grants.may_peer_pull(&bed.upstream, &other, blob("1").digest(), PEER, None).await;
    assert_eq!((denied, bed.heads()), (Err(PeerDenied::Private), asked), "it is another repository's");
}

#[tokio::test]
async fn what_is_no_longer_public_is_closed_and_the_registry_asked_once() {
    let bed = Bed::with_public_blob(Duration::ZERO).await;
    for is_public in [true, false] {
        bed.mind.is_public.store(is_public, Ordering::SeqCst);
        bed.grants.peers.forget_asked();
        let before = bed.heads();
        assert_eq!(bed.judge(&blob("1"), PEER, None).await.is_ok(), is_public);
        let asked = bed.heads();
        assert!(asked > before, "what is not fresh is asked anew");
        for _ in 0..3 {
            let judged = bed.judge(&blob("1"), PEER, None).await;
            assert_eq!(judged.err(), (!is_public).then_some(PeerDenied::Private));
        }
        assert_eq!(bed.heads(), asked, "once for all");
    }
}

#[tokio::test]
async fn what_was_public_stays_so_while_the_registry_is_away() {
    let bed = Bed::with_public_blob(Duration::ZERO).await;
    bed.mind.is_public.store(false, Ordering::SeqCst);
    bed.mind.fails_nobody.store(true, Ordering::SeqCst);
    bed.judge(&blob("1"), PEER, None).await.unwrap();
    // That it limits who asks is an answer.
    bed.grants.peers.forget_asked();
    *bed.mind.limited.lock().unwrap() = Some("HEAD ".into());
    assert_eq!(bed.judge(&blob("1"), PEER, None).await, Err(PeerDenied::Private));
}

#[tokio::test]
async fn who_has_no_right_is_refused_at_once_and_it_is_found_out_whether_that_is_right() {
    let bed = Bed::with_blob(LONG).await;
    let asked = bed.heads();
    assert_eq!(bed.judge(&blob("2"), PEER, None).await, Err(PeerDenied::Private));
    tokio::task::yield_now().await;
    assert_eq!(bed.heads(), asked, "it is asked about nothing that a peer makes up");
    bed.mind.is_public.store(true, Ordering::SeqCst);
    assert_eq!(bed.judge(&blob("1"), PEER, None).await, Err(PeerDenied::Private));
    let found = async {
        while bed.judge(&blob("1"), PEER, None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENT, found).await.expect("it is public");
}

#[tokio::test]
async fn what_a_repository_has_no_more_is_not_given_on() {
    let (bed, other) = (Bed::with_blob(LONG).await, Bed::with_blob(LONG).await);
    let good = bed.signed(&token());
    bed.grants.forget(&bed.place(), blob("1").digest(), Timestamp::now());
    assert_eq!(bed.judge(&blob("1"), PEER, Some(&good)).await, Err(PeerDenied::Absent));

    let good = other.signed(&token());
    other.grants.forget_all(other.upstream.key());
    assert_eq!(other.judge(&blob("1"), PEER, Some(&good)).await, Err(PeerDenied::Absent), "the cache itself may not see it");
    other.grants.peers.forget_asked();
    other.mind.is_public.store(true, Ordering::SeqCst);
    other.judge(&blob("1"), PEER, Some(&good)).await.unwrap();
}

#[tokio::test]
async fn a_client_has_nothing_by_a_peer_s_token() {
    let bed = Bed::with_blob(LONG).await;
    let peer = client(&format!("Bearer {}", bed.signed(&token())));
    assert_eq!(bed.allowed(&peer, &blob("1")).await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(bed.asked(&peer), 0, "it is put to nobody");
}

#[tokio::test]
async fn what_the_cache_itself_may_see_it_has_seen() {
    let bed = Bed::start(LONG).await;
    let (name, what) = ("team/app".parse().unwrap(), blob("1"));
    assert!(bed.grants.has(&bed.upstream, &name, &what).await.is_err());
    bed.mind.is_public.store(true, Ordering::SeqCst);
    bed.grants.has(&bed.upstream, &name, &what).await.unwrap();
    let asked = bed.heads();
    bed.grants.has(&bed.upstream, &name, &what).await.unwrap();
    assert_eq!(bed.heads(), asked, "it is known");
    assert!(!bed.grants.memory.book.may_pull(&bed.place(), &Who::Anybody, Now::read()), "that is no right of anybody's");
}

/// Or nobody would hear of what is here: neighbours are told of what is known, and it would not be.
#[tokio::test]
async fn what_is_forgotten_while_it_is_asked_for_is_asked_for_again() {
    let bed = Bed::start(LONG).await;
    bed.mind.is_public.store(true, Ordering::SeqCst);
    let (memory, key, before) = (bed.grants.memory.clone(), bed.upstream.key().clone(), bed.heads());
    *bed.mind.meanwhile.lock().unwrap() = Some(Box::new(move || memory.book.ask_all_anew(&key)));
    bed.grants.has(&bed.upstream, &"team/app".parse().unwrap(), &blob("1")).await.unwrap();
    assert_eq!(bed.heads() - before, 2);
    assert!(bed.grants.memory.book.is_linked_now(&bed.place(), &blob("1")));
}

/// A neighbour has a manifest, and what a tag names, by the registry's word for it, and no longer than that counts.
#[tokio::test]
async fn a_manifest_is_a_peer_s_while_the_registry_s_word_counts() {
    let bed = Bed::with_blob(LONG).await;
    let good = bed.signed(&token());
    let (manifest, now) = (What::Manifest(Digest::of(Algorithm::Sha256, b"manifest")), Timestamp::now().as_second());
    assert_eq!(bed.judge(&manifest, PEER, Some(&good)).await, Err(PeerDenied::Absent), "nobody has given their word");
    let vouch = |stale_until| {
        let said = ManifestVoucher {
            issued_at: now,
            repository: "team/app".parse().unwrap(),
            digest: manifest.digest().clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            tag: Some("v1".parse().unwrap()),
            is_whole: false,
            stale_until,
        };
        bed.grants.note_vouched(&bed.place(), &said, std::iter::empty());
        bed.grants.statements().add_manifest(bed.upstream.key(), Vouched { text: "signed".into(), said });
    };
    vouch(now + 20);
    let tag = What::Blob(tag_topic(&"v1".parse().unwrap()));
    for what in [&manifest, &tag] {
        assert_eq!(bed.judge(what, PEER, Some(&good)).await.unwrap().as_second(), now + 20, "sooner than the token ends");
        assert_eq!(bed.judge(what, "peer-b", Some(&good)).await, Err(PeerDenied::Token("is another peer's")));
        assert_eq!(bed.judge(what, PEER, None).await, Err(PeerDenied::Private));
    }
    vouch(now);
    for what in [&manifest, &tag] {
        assert_eq!(bed.judge(what, PEER, Some(&good)).await, Err(PeerDenied::Absent), "it is over");
    }
}

/// Where the cache has no account of its own it was let in as anybody, and where it has one that says nothing of others.
#[tokio::test]
async fn what_a_cache_without_an_account_was_let_into_is_public() {
    let name = "team/app".parse().unwrap();
    for has_account in [false, true] {
        let bed = Bed::start(LONG).await;
        let account = CredentialSource::Given { username: "u".into(), password: Secret::new("p") };
        let credentials = if has_account { account } else { CredentialSource::None };
        let settings = UpstreamSettings { attempts: 1, shares_access: true, credentials, ..settings(bed.server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
        bed.mind.is_public.store(true, Ordering::SeqCst);
        bed.grants.allowed(&upstream, &name, &Client::default(), &blob("1")).await.unwrap();
        bed.mind.is_public.store(false, Ordering::SeqCst);
        let asked = bed.heads();
        let judged = bed.grants.may_peer_pull(&upstream, &name, blob("1").digest(), PEER, None).await;
        assert_eq!(judged.err(), has_account.then_some(PeerDenied::Private));
        if !has_account {
            assert_eq!(bed.heads(), asked, "it is known");
        }
    }
}
