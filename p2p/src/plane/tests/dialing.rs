use tokio::net::TcpListener;

use super::*;
use crate::record::PeerRecord;

#[tokio::test]
async fn a_record_is_dialed_where_somebody_answers() {
    let (one, other) = (endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()));
    let mut listener = listener_of(&other).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let record = |pieces| PeerRecord { peer: other.id(), pieces, locality: Locality::default() };
    let reached = record(vec![nobody, listener.address()]);
    let connection = meanwhile(&mut listener, dial_record(&one, &reached)).await.unwrap();
    assert_eq!(connection.peer.remote, listener.address());
    assert!(
        matches!(dial_record(&one, &record(vec![nobody])).await, Err(DialError::Connect { address, .. }) if address == nobody)
    );
    assert!(matches!(dial_record(&one, &record(Vec::new())).await, Err(DialError::NoAddress(peer)) if peer == other.id()));
    drop(connection);
    assert_eq!(one.connections(), (0, 0));
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up() {
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    // The system takes the connection, and nobody greets.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let given_up = soon(dial(&one, silent.local_addr().unwrap(), other.id())).await;
    assert!(matches!(given_up, Err(DialError::TimedOut { doing: "greeting", .. })), "{given_up:?}");
    assert_eq!(one.connections(), (0, 0));
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_in_nobodys_way() {
    let (one, other, third) =
        (endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()));
    let mut listener = listener_of(&other).await;
    let mut elsewhere = listener_of(&third).await;
    // There the system takes the connection, and nobody greets.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pieces = vec![silent.local_addr().unwrap(), elsewhere.address(), listener.address()];
    let record = PeerRecord { peer: other.id(), pieces, locality: Locality::default() };
    let began = std::time::Instant::now();
    let dialing = async {
        tokio::select! {
            dialed = meanwhile(&mut listener, dial_record(&one, &record)) => dialed,
            greeted = elsewhere.accept() => panic!("{:?} is somebody else", greeted.peer),
        }
    };
    let connection = soon(dialing).await.unwrap();
    assert_eq!((connection.peer.remote, one.counts().dialed()), (listener.address(), 1));
    assert!(began.elapsed() < one.limits().handshake_timeout, "the silent one was not waited for");
    assert_eq!(one.connections(), (0, 1), "what is tried beside it has no place");
}
