//! Who announced here, and on which connections: what is known of peers for as long as they are connected.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use libp2p::swarm::ConnectionId;
use libp2p_identity::PeerId;

/// The connections of other peers.
#[derive(Debug, Default)]
pub(super) struct Guests {
    connections: BTreeMap<ConnectionId, Guest>,
    /// On how many connections each announced that has.
    announcing: HashMap<PeerId, usize>,
}

#[derive(Debug)]
struct Guest {
    peer: PeerId,
    from: IpAddr,
    has_announced: bool,
    /// Announcements that are being answered.
    in_hand: usize,
    is_closed: bool,
}

impl Guests {
    /// A connection was made.
    pub fn opened(&mut self, connection: ConnectionId, peer: PeerId, from: IpAddr) {
        let guest = Guest { peer, from, has_announced: false, in_hand: 0, is_closed: false };
        self.connections.insert(connection, guest);
    }

    /// Where the peer at the other end is.
    pub fn from(&self, connection: ConnectionId) -> Option<IpAddr> {
        self.connections.get(&connection).map(|guest| guest.from)
    }

    /// Whether it has not ended.
    pub fn is_open(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|guest| !guest.is_closed)
    }

    /// Whether its peer announced on it.
    pub fn has_announced(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|guest| guest.has_announced)
    }

    /// An announcement that came on it is handed on.
    pub fn announces(&mut self, connection: ConnectionId) {
        if let Some(guest) = self.connections.get_mut(&connection) {
            guest.in_hand += 1;
            if !guest.has_announced {
                guest.has_announced = true;
                *self.announcing.entry(guest.peer).or_default() += 1;
            }
        }
    }

    /// It was answered. Gives the peer if it is gone meanwhile.
    pub fn answered(&mut self, connection: ConnectionId) -> Option<PeerId> {
        let guest = self.connections.get_mut(&connection)?;
        guest.in_hand -= 1;
        self.leaves(connection)
    }

    /// The connection has ended. Gives the peer if that was the last on which it announced, and no announcement is in hand that would be
    /// written down after it was forgotten.
    pub fn closed(&mut self, connection: ConnectionId) -> Option<PeerId> {
        self.connections.get_mut(&connection)?.is_closed = true;
        self.leaves(connection)
    }

    fn leaves(&mut self, connection: ConnectionId) -> Option<PeerId> {
        let guest = self.connections.get(&connection).filter(|guest| guest.is_closed && guest.in_hand == 0)?;
        let (peer, has_announced) = (guest.peer, guest.has_announced);
        self.connections.remove(&connection);
        if !has_announced {
            return None;
        }
        let left = self.announcing.get_mut(&peer)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.announcing.remove(&peer);
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn a_peer_is_gone_with_its_last_connection() {
        let (mut guests, peer) = (Guests::default(), PeerId::random());
        for number in 0..3 {
            guests.opened(connection(number), peer, FROM);
        }
        for number in 0..2 {
            assert!(!guests.has_announced(connection(number)));
            guests.announces(connection(number));
            assert_eq!(guests.answered(connection(number)), None);
            assert!(guests.has_announced(connection(number)) && guests.is_open(connection(number)));
        }
        assert_eq!([0, 2, 1].map(|number| guests.closed(connection(number))), [None, None, Some(peer)]);
        assert!(guests.connections.is_empty() && guests.announcing.is_empty());
    }

    #[test]
    fn not_while_an_announcement_is_in_hand() {
        let (mut guests, peer) = (Guests::default(), PeerId::random());
        guests.opened(connection(1), peer, FROM);
        guests.announces(connection(1));
        guests.announces(connection(1));
        assert_eq!(guests.closed(connection(1)), None);
        assert!(!guests.is_open(connection(1)));
        assert_eq!(guests.answered(connection(1)), None);
        assert_eq!(guests.answered(connection(1)), Some(peer));
        assert_eq!(guests.closed(connection(1)), None);
    }

    proptest! {
        #[test]
        fn each_that_announced_goes_once_and_nothing_is_left(steps in prop::collection::vec((0_usize..6, 0_u8..3), 0..60)) {
            let peers = [PeerId::random(), PeerId::random()];
            let mut guests = Guests::default();
            // The model: of each connection whether it is open, how many are in hand, and whether it announced.
            let mut model = [(true, 0_u32, false); 6];
            for number in 0..6 {
                guests.opened(connection(number), peers[number % 2], FROM);
            }
            let ends = (0..6).map(|number| (number, 2)).chain((0..60).flat_map(|_| (0..6).map(|number| (number, 1))));
            for (number, step) in steps.into_iter().chain(ends) {
                let was = model;
                let entry = &mut model[number];
                let gone = match step {
                    0 if entry.0 => {
                        *entry = (true, entry.1 + 1, true);
                        guests.announces(connection(number));
                        None
                    }
                    1 if entry.1 > 0 => {
                        entry.1 -= 1;
                        guests.answered(connection(number))
                    }
                    2 if entry.0 => {
                        entry.0 = false;
                        guests.closed(connection(number))
                    }
                    _ => continue,
                };
                let is_here = |model: &[(bool, u32, bool); 6]| (0..6).any(|other| {
                    let (is_open, in_hand, has_announced) = model[other];
                    other % 2 == number % 2 && has_announced && (is_open || in_hand > 0)
                });
                let expected = (is_here(&was) && !is_here(&model)).then_some(peers[number % 2]);
                prop_assert_eq!(gone, expected);
            }
            prop_assert!(guests.connections.is_empty() && guests.announcing.is_empty());
        }
    }
}
