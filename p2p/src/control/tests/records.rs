//! A peer asks another who it is.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::bed::{End, GOOD, settings};
use crate::control::{ControlAddress, ControlError, ControlSettings, messages::tests::record};

#[tokio::test]
async fn an_address_becomes_a_record() {
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let expected = record(other.peer(), &["127.0.0.1:7001"]);
    let port = other.address.port();
    for address in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("/ip4/127.0.0.1/tcp/{port}"),
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", other.peer()),
    ] {
        let address: ControlAddress = address.parse().unwrap();
        assert_eq!(one.control.record_of(&address).await.unwrap(), expected, "{address}");
        // What was made for the question ends with it.
        other.counts(r#"longshore_p2p_control_connections{direction="in"}"#, 0).await;
    }
    // Asked again before the connection is closed it is told again.
    for _ in 0..20 {
        assert_eq!(one.control.record_of(&other.at()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn somebody_else_is_not_taken_for_the_peer() {
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let error = one.control.record_of(&other.at().of_peer(PeerId::random())).await.unwrap_err();
    assert!(matches!(error, ControlError::WrongPeer { found, .. } if found == other.peer()), "{error}");
    let error = one.control.record_of(&ControlAddress::from(one.address)).await.unwrap_err();
    assert!(matches!(error, ControlError::Own { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_is_no_tracker() {
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let error = one.announce(&other.at(), GOOD).await.unwrap_err();
    assert!(matches!(error, ControlError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn the_question_does_not_end_what_lives_on_the_connection() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    // What goes to a peer takes turns on its connections, and the turn of a second announcement is the first connection's: here the one
    // that was made for questions.
    let (other, _other_service, _other_gone) = End::tracker(settings()).await;
    one.announce(&other.at(), GOOD).await.unwrap();
    let by_name: ControlAddress = format!("localhost:{}", tracker.address.port()).parse().unwrap();
    let questions = futures_util::future::join_all((0..200).map(|_| one.control.record_of(&by_name)));
    let (records, answer) = tokio::join!(questions, async {
        while tracker.count(r#"longshore_p2p_control_answered_total{answer="told",question="record"}"#) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        one.announce(&tracker.at(), GOOD).await
    });
    assert!(answer.is_ok() && records.iter().all(Result::is_ok));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gone.try_recv().is_err());
}

#[tokio::test]
async fn a_taken_address_is_not_shared() {
    let one = End::new(settings()).await;
    let keypair = libp2p_identity::Keypair::generate_ed25519();
    let (_own, watched) = tokio::sync::watch::channel(record(keypair.public().to_peer_id(), &[]));
    let metrics = longshore_service::metrics::Metrics::new();
    let taken = ControlSettings { listen: vec![one.address], ..settings() };
    let error = crate::control::Control::start(&keypair, None, taken, None, watched, &metrics).await.unwrap_err();
    assert!(matches!(error, ControlError::Listen { address, .. } if address == one.address), "{error}");
}
