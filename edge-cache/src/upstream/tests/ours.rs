use std::sync::Mutex;

use longshore_oci::{Metainfo, Voucher};
use longshore_service::signing::{KeySet, SigningKey};

use super::*;

/// A blob of a piece and a half.
fn content() -> Vec<u8> {
    vec![7; 1_572_864]
}

fn metainfo() -> Metainfo {
    let content = content();
    Metainfo {
        digest: Digest::of(Algorithm::Sha256, &content),
        size_bytes: content.len() as u64,
        piece_size_bytes: crate::piece::PIECE_BYTES,
        pieces: content.chunks(1 << 20).map(|piece| blake3::hash(piece).to_string()).collect(),
        signature: None,
    }
}

fn signed(mut metainfo: Metainfo, key: &SigningKey) -> Metainfo {
    metainfo.signature = Some(key.sign(Voucher::KIND, &Voucher::of(&metainfo, 1).unwrap()));
    metainfo
}

/// A registry of ours whose keys and metainfo can be changed.
async fn registry(keys: &Arc<Mutex<Vec<SigningKey>>>, metainfo: &Arc<Mutex<Metainfo>>) -> Server {
    let (keys, metainfo) = (keys.clone(), metainfo.clone());
    let answering = Server::start(move |head, _| {
        if head.starts_with("GET /v2/_longshore/keys ") {
            let keys: KeySet = keys.lock().unwrap().iter().map(SigningKey::public).collect();
            return Reply::json(&keys);
        }
        assert!(head.starts_with("GET /v2/team/app/_longshore/metainfo/sha256:"), "{head}");
        Reply::json(&*metainfo.lock().unwrap())
    });
    answering.await
}

#[tokio::test]
async fn takes_pieces_that_are_vouched_for() {
    let (key, stranger) = (SigningKey::generate().0, SigningKey::generate().0);
    let mut swapped = signed(metainfo(), &key);
    swapped.pieces.swap(0, 1);
    let other = Metainfo { digest: digest(), ..metainfo() };
    let small = Metainfo { piece_size_bytes: 1 << 19, pieces: vec![metainfo().pieces[0].clone(); 3], ..metainfo() };
    let right = signed(metainfo(), &key);
    let wrong = [metainfo(), signed(metainfo(), &stranger), swapped, signed(other, &key), signed(small, &key)];
    let keys = Arc::new(Mutex::new(vec![key]));
    let told = Arc::new(Mutex::new(right));
    let server = registry(&keys, &told).await;
    let (upstream, metrics) = upstream_with(settings(server.address));
    let asked = metainfo().digest;
    let vouched = upstream.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap();
    let (size_bytes, hashes) = vouched.expect("it is vouched for");
    assert_eq!((size_bytes, hashes.count()), (1_572_864, 2));
    assert!(hashes.is_right(crate::piece::PieceIndex(1), &content()[1 << 20..]));
    let count = wrong.len();
    for wrong in wrong {
        *told.lock().unwrap() = wrong;
        let vouched = upstream.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap();
        assert!(vouched.is_none(), "{:?}", told.lock().unwrap());
    }
    let counted = format!("longshore_edge_upstream_metainfo_refused_total{{upstream=\"up\"}} {count}");
    assert!(metrics.render().contains(&counted));
}

#[tokio::test]
async fn asks_for_keys_again_when_one_is_new_and_no_oftener() {
    let (old, new, stranger) = (SigningKey::generate().0, SigningKey::generate().0, SigningKey::generate().0);
    let told = Arc::new(Mutex::new(signed(metainfo(), &new)));
    let keys = Arc::new(Mutex::new(vec![old]));
    let server = registry(&keys, &told).await;
    let upstream = upstream(&server);
    assert!(upstream.is_longshore().await && upstream.keys().await.is_some());
    keys.lock().unwrap().push(new);
    let asked = metainfo().digest;
    assert!(upstream.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap().is_some());
    *told.lock().unwrap() = signed(metainfo(), &stranger);
    for _ in 0..3 {
        assert!(upstream.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap().is_none());
    }
    let asked_for_keys = server.heads().iter().filter(|head| head.contains("/keys ")).count();
    assert_eq!(asked_for_keys, 2);
}

#[tokio::test]
async fn knows_others_and_remembers_it() {
    let asks = "WWW-Authenticate: Bearer realm=\"/token\"\r\n";
    for status in ["404 Not Found", "401 Unauthorized", "403 Forbidden", "405 Method Not Allowed"] {
        let server = Server::start(move |_, _| Reply::new(status, asks, "")).await;
        let upstream = upstream(&server);
        for _ in 0..3 {
            assert!(!upstream.is_longshore().await);
            assert!(upstream.metainfo(&Identity::Anonymous, &name(), &digest()).await.unwrap().is_none());
        }
        assert_eq!(server.count(), 1, "{status}: no token is fetched for it");
    }
    for body in ["{}", "[]", r#"{"keys":[{"kty":"RSA"}]}"#, "<html>"] {
        let server = Server::start(move |_, _| Reply::ok("", body)).await;
        assert!(!upstream(&server).is_longshore().await, "{body}");
    }
}

#[tokio::test]
async fn many_who_ask_in_vain_ask_once_and_again_a_moment_later() {
    let key = SigningKey::generate().0;
    let keys = KeySet::from_iter([key.public()]);
    let server =
        Server::start(move |_, number| if number < 3 { Reply::new("500 Oops", "", "") } else { Reply::json(&keys) }).await;
    let upstream = Arc::new(upstream(&server));
    let ask = || {
        let upstream = upstream.clone();
        tokio::spawn(async move { upstream.is_longshore().await })
    };
    let asking: Vec<_> = (0..100).map(|_| ask()).collect();
    for asked in asking {
        assert!(!asked.await.unwrap());
    }
    assert_eq!(server.count(), 3, "all wait for the attempts of one");
    let doubt = upstream.find_kind().await.unwrap_err();
    assert!(doubt.is_down() && doubt.retry_after().unwrap() <= Duration::from_secs(1), "{doubt}");
    assert_eq!(server.count(), 3, "nobody asks meanwhile");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(upstream.find_kind().await.unwrap());
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn that_somebody_goes_in_a_circle_says_nothing_of_what_it_is() {
    let keys = KeySet::from_iter([SigningKey::generate().0.public()]);
    let server =
        Server::start(move |_, number| if number == 0 { Reply::new("508 Loop Detected", "", "") } else { Reply::json(&keys) })
            .await;
    let upstream = upstream(&server);
    let error = upstream.find_kind().await.unwrap_err();
    assert!(error.is_loop() && !error.is_away(), "{error}");
    assert!(upstream.find_kind().await.unwrap(), "nobody waits for another's way");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn reads_no_more_metainfo_at_once_than_there_is_room_for() {
    let key = SigningKey::generate().0;
    let told = Arc::new(Mutex::new(signed(metainfo(), &key)));
    let server = registry(&Arc::new(Mutex::new(vec![key])), &told).await;
    let room = Budget::new(1 << 20, Duration::from_millis(20));
    let upstream = upstream(&server).sharing(&room);
    let held = room.take(1 << 20).await.unwrap();
    let error = upstream.metainfo(&Identity::Anonymous, &name(), &metainfo().digest).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Paused { .. }), "{error}");
    drop(held);
    assert!(upstream.metainfo(&Identity::Anonymous, &name(), &metainfo().digest).await.unwrap().is_some());
}

#[tokio::test]
async fn metainfo_of_no_length_is_not_read_alone() {
    let key = SigningKey::generate().0;
    let (keys, told) = (KeySet::from_iter([key.public()]), serde_json::to_string(&signed(metainfo(), &key)).unwrap());
    let server = Server::start(move |head, _| {
        if head.starts_with("GET /v2/_longshore/keys ") {
            return Reply::json(&keys);
        }
        Reply::raw(&format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{told}"))
    });
    let server = server.await;
    let room = Budget::new(32 << 20, Duration::from_millis(20));
    let upstream = upstream(&server).sharing(&room);
    let _others = room.take(16 << 20).await.unwrap();
    assert!(upstream.metainfo(&Identity::Anonymous, &name(), &metainfo().digest).await.unwrap().is_some());
}

#[tokio::test]
async fn takes_the_word_of_an_edge_by_its_own_key_alone() {
    let (registry, edge, stranger) = (SigningKey::generate().0, SigningKey::generate().0, SigningKey::generate().0);
    let trusted: KeySet = [edge.public()].into_iter().collect();
    let (both, only) = ([registry.public(), edge.public()].into_iter().collect::<KeySet>(), trusted.clone());
    let own = format!("Content-Type: application/json\r\nLongshore-Edge-Key: {}\r\n", edge.id());
    let of = |metainfo: &Metainfo| serde_json::to_string(metainfo).unwrap();
    let (by_edge, by_stranger) = (of(&signed(metainfo(), &edge)), of(&signed(metainfo(), &stranger)));
    let unseen = r#"{"errors":[{"code":"UNSUPPORTED","message":"not yet"}]}"#;
    let refused = "longshore_edge_upstream_metainfo_refused_total{upstream=\"up\"}";
    // Before a registry of ours and others, and before others alone.
    for (keys, is_ours) in [(both, true), (only, false)] {
        let told = Arc::new(Mutex::new(None::<String>));
        let (keys, answer, own) = (serde_json::to_string(&keys).unwrap(), told.clone(), own.clone());
        let server = Server::start(move |head, _| {
            if head.starts_with("GET /v2/_longshore/keys ") {
                return Reply::ok(&own, &keys);
            }
            match &*answer.lock().unwrap() {
                Some(body) => Reply::ok(&own, body),
                None => Reply::new("404 Not Found", "", unseen),
            }
        });
        let server = server.await;
        let (plain, metrics) = upstream_with(settings(server.address));
        let (trusting, _) = upstream_with(UpstreamSettings { trusted_keys: trusted.clone(), ..settings(server.address) });
        assert_eq!((plain.is_longshore().await, trusting.is_longshore().await), (is_ours, is_ours));
        let asked = metainfo().digest;
        for (body, is_taken) in [(None, false), (Some(&by_edge), true), (Some(&by_stranger), false)] {
            *told.lock().unwrap() = body.cloned();
            assert!(plain.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap().is_none());
            let taken = trusting.metainfo(&Identity::Anonymous, &name(), &asked).await.unwrap();
            assert_eq!(taken.is_some(), is_taken, "{body:?}");
        }
        assert!(!metrics.render().contains(&format!("{refused} 1")), "what is not trusted is no fault");
        let checked = plain.check::<Voucher>(Voucher::KIND, &signed(metainfo(), &edge).signature.unwrap()).await;
        assert!(checked.is_none_or(|checked| checked.is_err()), "it is no key of the registry");
    }
}

#[tokio::test]
async fn is_what_it_is_said_to_be() {
    let server = Server::start(|_, _| Reply::new("404 Not Found", "", "")).await;
    let (other, _) = upstream_with(UpstreamSettings { kind: Kind::Other, ..settings(server.address) });
    assert!(!other.is_longshore().await && other.keys().await.is_none());
    assert_eq!(server.count(), 0);
    let (ours, _) = upstream_with(UpstreamSettings { kind: Kind::Longshore, ..settings(server.address) });
    assert!(ours.is_longshore().await && ours.keys().await.is_none());
}
