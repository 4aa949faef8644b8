use super::*;
use crate::{
    record::PeerRecord,
    wire::{Hello, VERSION},
};

#[tokio::test]
async fn two_ends_know_who_the_other_is_and_where() {
    let locality = Locality { region: "eu".to_owned(), zone: "a".to_owned(), ..Locality::default() };
    let key = NodeKey::from(Keypair::generate_ed25519());
    let one = Endpoint::new(&key, None, locality.clone(), Limits::default()).unwrap();
    one.set_addresses(vec!["0.0.0.0:7".parse().unwrap(), "10.0.0.1:8".parse().unwrap()]).unwrap();
    assert!(one.set_addresses(vec!["10.0.0.1:8".parse().unwrap(); 9]).is_err());
    let other = endpoint_of(None, Limits::default());
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let (dialed, accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    let (dialed, accepted) = (dialed.unwrap().peer, accepted.peer);
    assert_eq!((dialed.id, dialed.remote, dialed.direction), (other.id(), address, Direction::Dialed));
    assert_eq!((accepted.id, accepted.direction, &accepted.locality), (key.peer_id(), Direction::Accepted, &locality));
    let pieces = vec!["127.0.0.1:7".parse().unwrap(), "10.0.0.1:8".parse().unwrap()];
    assert_eq!(accepted.record(), PeerRecord { peer: key.peer_id(), pieces, locality });
    assert_eq!((one.counts().dialed(), other.counts().accepted()), (1, 1));
}

#[tokio::test]
async fn who_is_somebody_else_is_not_spoken_to() {
    let (one, other, third) =
        (endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let refused = meanwhile(&mut listener, dial(&one, address, third.id())).await;
    assert!(matches!(refused, Err(DialError::WrongPeer { expected, .. }) if expected == third.id()), "{refused:?}");
    meanwhile(&mut listener, until(|| other.counts().failed_handshakes() == 1)).await;
    assert_eq!((other.counts().accepted(), one.connections(), other.connections()), (0, (0, 0), (0, 0)));
    assert!(matches!(dial(&other, address, other.id()).await, Err(DialError::Oneself(_))));
}

#[tokio::test]
async fn a_closed_fleet_is_closed() {
    let within = endpoint_of(Some("k"), Limits::default());
    let mut listener = listener_of(&within).await;
    let address = listener.address();
    let friend = endpoint_of(Some("k"), Limits::default());
    assert!(meanwhile(&mut listener, dial(&friend, address, within.id())).await.is_ok());
    for (count, fleet) in [(1, Some("l")), (2, None)] {
        let stranger = endpoint_of(fleet, Limits::default());
        let refused = meanwhile(&mut listener, dial(&stranger, address, within.id())).await;
        assert!(matches!(refused, Err(DialError::Handshake { .. })), "{refused:?}");
        assert_eq!((within.counts().strangers(), within.counts().accepted()), (count, 1));
    }
    // Who is within shuns who is not, too.
    let open = endpoint_of(None, Limits::default());
    let mut listener = listener_of(&open).await;
    let address = listener.address();
    let refused = meanwhile(&mut listener, dial(&within, address, open.id())).await;
    assert!(matches!(refused, Err(DialError::Stranger { peer, .. }) if peer == open.id()), "{refused:?}");
    assert_eq!(within.counts().strangers(), 3);
}

#[tokio::test]
async fn a_stranger_hears_nothing_whatever_it_shows() {
    let within = endpoint_of(Some("k"), Limits::default());
    let stranger = endpoint_of(None, Limits::default());
    let mut listener = listener_of(&within).await;
    let address = listener.address();
    let key = within.fleet.as_ref().unwrap();
    let of_another_session = key.prove(&[7; 32], Direction::Dialed);
    for proof in [None, Some([0; 32]), Some(of_another_session)] {
        let trying = async {
            let mut raw = Raw::dial(&stranger, &within, address).await;
            raw.tell(Frame::Hello(Hello { proof, ..stranger.own() })).await;
            let mut heard = Vec::new();
            // However it is cut.
            let _ = raw.0.read_to_end(&mut heard).await;
            heard
        };
        assert_eq!(meanwhile(&mut listener, trying).await, b"", "{proof:?}");
    }
    assert_eq!((within.counts().strangers(), within.counts().accepted()), (3, 0));
}

#[tokio::test]
async fn who_does_not_greet_is_cut() {
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let trying = async {
        // One says what is no TLS, one nothing, one nothing in TLS, and three greet wrong.
        let mut garbage = TcpStream::connect(address).await.unwrap();
        garbage.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut polite = Raw::dial(&one, &other, address).await;
        let mut wrong = Vec::new();
        let hello = written(&Frame::Hello(one.own()));
        let shorter = u32::try_from(hello.len() - HEAD_BYTES - 1).unwrap().to_le_bytes();
        let shorter = [shorter.as_slice(), &hello[4..hello.len() - 1]].concat();
        for greeting in [written(&Frame::Ping), shorter, vec![0xff; 64]] {
            let mut raw = Raw::dial(&one, &other, address).await;
            raw.say(&greeting).await;
            wrong.push(raw);
        }
        let _ = garbage.read_to_end(&mut Vec::new()).await;
        let _ = silent.read_to_end(&mut Vec::new()).await;
        let _ = polite.0.read_to_end(&mut Vec::new()).await;
        for mut raw in wrong {
            let _ = raw.0.read_to_end(&mut Vec::new()).await;
        }
    };
    meanwhile(&mut listener, trying).await;
    assert_eq!((other.counts().failed_handshakes(), other.counts().accepted()), (6, 0));
    assert_eq!((other.connections(), other.handshakes.available_permits()), ((0, 0), limits.most_handshakes));
}

#[tokio::test]
async fn a_peer_of_an_older_sort_is_refused_by_tls() {
    let (one, other) = (endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let mut config = one.identity.client(other.id()).unwrap();
    config.alpn_protocols = vec![b"libp2p".to_vec()];
    let socket = TcpStream::connect(address).await.unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(address.ip().into(), socket);
    assert!(meanwhile(&mut listener, connecting).await.is_err());
    // Who shows no certificate is refused as well, which it learns when it reads.
    let verifying = crate::plane::identity::anonymous_client(other.id());
    let trying = async {
        let socket = TcpStream::connect(address).await.unwrap();
        let connected = TlsConnector::from(Arc::new(verifying)).connect(address.ip().into(), socket).await;
        let Ok(mut stream) = connected else { return true };
        stream.read_u8().await.is_err()
    };
    assert!(meanwhile(&mut listener, trying).await);
    assert_eq!(other.counts().failed_handshakes(), 2);
}

/// All that a dialer says to who proves nothing, and what becomes of its dialing.
async fn said_to_a_stranger(from: &Arc<Endpoint>, by: &Endpoint) -> (Frame, Result<Connection, DialError>) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answering = async {
        let (stream, _) = socket.accept().await.unwrap();
        let stream = tokio_rustls::TlsAcceptor::from(by.server.clone()).accept(BufReader::new(stream)).await.unwrap();
        let mut raw = Raw(Box::new(stream.into()));
        let first = raw.next().await.0;
        raw.tell(Frame::Hello(Hello { proof: Some([0; 32]), ..by.own() })).await;
        let mut more = Vec::new();
        // However it is cut.
        let _ = raw.0.read_to_end(&mut more).await;
        assert!(more.is_empty(), "nothing more was said");
        first
    };
    let address = socket.local_addr().unwrap();
    soon(async { tokio::join!(answering, dial(from, address, by.id())) }).await
}

#[tokio::test]
async fn nobody_is_told_where_a_node_is_before_it_has_proven_itself() {
    let locality = Locality { region: "eu".to_owned(), ..Locality::default() };
    let key = NodeKey::from(Keypair::generate_ed25519());
    let fleet = FleetKey::new(&"k".repeat(32)).unwrap();
    let within = Endpoint::new(&key, Some(fleet), locality, Limits::default()).unwrap();
    within.set_addresses(vec!["10.0.0.1:8".parse().unwrap()]).unwrap();
    let stranger = endpoint_of(None, Limits::default());
    let (first, dialed) = said_to_a_stranger(&within, &stranger).await;
    let Frame::Hello(hello) = first else { panic!("{first:?}") };
    assert_eq!((hello.locality, hello.addresses), (Locality::default(), Vec::new()));
    assert!(hello.proof.is_some() && matches!(dialed, Err(DialError::Stranger { .. })), "{dialed:?}");
}

#[tokio::test]
async fn two_go_by_the_lower_version() {
    let (one, other) = (endpoint_of(None, Limits::default()), endpoint_of(None, Limits::default()));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    // One that comes after ours, and says more than we know.
    let newer = Hello { version: VERSION + 6, ..one.own() };
    let hello = written(&Frame::Hello(newer));
    let more = [u32::try_from(hello.len() - HEAD_BYTES + 99).unwrap().to_le_bytes().as_slice(), &hello[4..], &[7; 99]].concat();
    let greeting = async {
        let mut raw = Raw::dial(&one, &other, address).await;
        raw.say(&more).await;
        assert!(matches!(raw.next().await.0, Frame::Hello(Hello { version: VERSION, .. })));
        raw.say(&more).await;
        raw.tell(Frame::Open(crate::wire::Open { id: TopicId(0), topic: topic(), token: None, want_metainfo: false })).await;
        raw
    };
    let (_raw, mut accepted) = soon(async { tokio::join!(greeting, listener.accept()) }).await;
    assert_eq!(accepted.peer.version, VERSION);
    assert!(matches!(soon(accepted.reader.next()).await, Ok(Event::Open(_))));
    // And were ours that one, the other would be the older.
    one.own.write().unwrap().version = VERSION + 6;
    let (dialed, accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    assert_eq!((dialed.unwrap().peer.version, accepted.peer.version), (VERSION, VERSION));
}
