use super::*;

#[tokio::test]
async fn there_are_no_more_connections_than_may_be() {
    let limits = Limits { most_accepted: 2, most_dialed: 3, ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let dialing = || dial(&one, address, other.id());
    let (first, at_first) = soon(async { tokio::join!(dialing(), listener.accept()) }).await;
    let (second, at_second) = soon(async { tokio::join!(dialing(), listener.accept()) }).await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((one.connections(), other.connections()), ((0, 2), (2, 0)));
    let third = meanwhile(&mut listener, dialing()).await;
    assert!(matches!(third, Err(DialError::Handshake { .. })), "{third:?}");
    assert_eq!((other.counts().over_limit(), other.counts().accepted()), (1, 2));
    // A half of a connection keeps its place.
    let Connection { reader, writer, sender, .. } = at_first;
    drop((reader, sender, at_second.sender.clone()));
    assert_eq!(other.connections(), (2, 0));
    drop(writer);
    assert_eq!(other.connections(), (1, 0));
    let (third, at_third) = soon(async { tokio::join!(dialing(), listener.accept()) }).await;
    assert!(matches!(dialing().await, Err(DialError::Full)));
    drop((first, second, third.unwrap()));
    assert_eq!(one.connections(), (0, 0));
    drop((at_second, at_third));
    assert_eq!(other.connections(), (0, 0));
}

#[tokio::test]
async fn there_are_no_more_greetings_than_may_be() {
    let limits = Limits { most_handshakes: 1, ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let silent = TcpStream::connect(address).await.unwrap();
    meanwhile(&mut listener, until(|| other.handshakes.available_permits() == 0)).await;
    assert!(meanwhile(&mut listener, dial(&one, address, other.id())).await.is_err());
    assert_eq!(other.counts().over_limit(), 1);
    drop(silent);
    meanwhile(&mut listener, until(|| other.handshakes.available_permits() == 1)).await;
    assert!(meanwhile(&mut listener, dial(&one, address, other.id())).await.is_ok());
}

#[tokio::test]
async fn one_address_has_its_share_of_greetings() {
    let limits = Limits { most_handshakes_per_ip: 1, ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let silent = TcpStream::connect(address).await.unwrap();
    meanwhile(&mut listener, until(|| other.handshakes.available_permits() < limits.most_handshakes)).await;
    assert!(meanwhile(&mut listener, dial(&one, address, other.id())).await.is_err());
    assert_eq!(other.counts().over_limit(), 1);
    drop(silent);
    meanwhile(&mut listener, until(|| other.counts().failed_handshakes() == 1)).await;
    assert!(meanwhile(&mut listener, dial(&one, address, other.id())).await.is_ok());
}

#[tokio::test]
async fn a_peer_that_begins_anew_ends_what_it_had() {
    let limits = Limits { most_accepted_per_peer: 2, ..Limits::default() };
    let (one, third, other) = (endpoint_of(None, limits), endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for from in [&one, &third, &one, &one] {
        let (dialed, accepted) = soon(async { tokio::join!(dial(from, address, other.id()), listener.accept()) }).await;
        ours.push(dialed.unwrap());
        theirs.push(run(accepted));
    }
    assert!(matches!(soon(theirs[0].reader.next()).await, Err(ConnectionError::Ended)));
    for kept in &theirs[1..] {
        assert_eq!(kept.sender.refuse(TopicId(0)), Ok(()));
    }
    // What has ended counts no more.
    theirs[2].sender.cut();
    let (_dialed, _accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    assert_eq!(theirs[3].sender.refuse(TopicId(0)), Ok(()));
}
