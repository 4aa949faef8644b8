//! The addresses that are called: how far the way to each is made, who waits for it, and how long it is left alone after a failure.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use libp2p::{PeerId, swarm::ConnectionId};

use super::{ControlAddress, backoff::Backoff};
use crate::moment::Moment;

/// A call's number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct CallId(pub u64);

/// How far the way to an address is made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Road {
    /// Not at all.
    #[default]
    Down,
    /// Its name is being resolved.
    Resolving,
    /// A connection is being made; these are to be tried after it.
    Dialing { connection: ConnectionId, rest: VecDeque<SocketAddr> },
    /// There is a connection.
    Up { connection: ConnectionId, peer: PeerId },
    /// The connection is being closed; what waits goes on another, made after its end. What goes to a peer goes on any of its connections,
    /// and on one that is closing it would be lost.
    Closing { connection: ConnectionId },
}

/// One address.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub road: Road,
    pub backoff: Backoff,
    /// Calls that are not sent yet, the first first.
    pub waiting: VecDeque<CallId>,
    /// Calls that are sent and neither answered nor failed, those among them whose time is over: their streams are open.
    pub in_flight: usize,
    /// Since when the peer owes an answer: the first that it was asked for since it last gave one.
    owes_since: Option<Moment>,
    /// Dials begun, so that each begins with another of the name's addresses.
    pub dials: usize,
    last_used: Moment,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// The address failed a moment ago.
    BackingOff(Duration),
    /// Every address that is remembered is in use.
    Full,
}

/// All addresses.
#[derive(Debug)]
pub(super) struct Links {
    by_address: BTreeMap<ControlAddress, Link>,
    by_connection: BTreeMap<ConnectionId, ControlAddress>,
    most: usize,
}

impl Link {
    /// A call is sent.
    pub fn asked(&mut self, now: Moment) {
        self.in_flight += 1;
        self.owes_since.get_or_insert(now);
    }

    /// A call that was sent has its answer, or never will.
    pub fn settled(&mut self) {
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.owes_since = None;
        }
    }

    /// The peer has answered a call.
    pub fn heard(&mut self, now: Moment) {
        self.owes_since = (self.in_flight > 0).then_some(now);
    }

    /// Who is at the other end, if it owes an answer since so long and has given none to any call.
    pub fn silent_for(&self, patience: Duration, now: Moment) -> Option<PeerId> {
        let Road::Up { peer, .. } = self.road else { return None };
        self.owes_since.is_some_and(|since| now.since(since) >= patience).then_some(peer)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0 && matches!(self.road, Road::Down | Road::Up { .. })
    }
}

impl Links {
    pub fn new(most: usize) -> Self {
        Self { by_address: BTreeMap::new(), by_connection: BTreeMap::new(), most }
    }

    /// Takes a call, which waits from now on. Where that makes one address too many the one that was idle longest is forgotten; its connection
    /// is to be closed if it had one, and no other address leads to the same peer.
    pub fn take(&mut self, address: &ControlAddress, call: CallId, now: Moment) -> Result<Option<ConnectionId>, Refusal> {
        let mut surplus = None;
        if !self.by_address.contains_key(address) && self.by_address.len() >= self.most {
            match self.forget_one() {
                Some(Road::Up { connection, peer }) => surplus = Some(connection).filter(|_| self.roads_to(peer) == 0),
                Some(_) => {}
                None => return Err(Refusal::Full),
            }
        }
        let link = self.by_address.entry(address.clone()).or_default();
        if let Some(left) = link.backoff.left(now) {
            return Err(Refusal::BackingOff(left));
        }
        link.last_used = now;
        link.waiting.push_back(call);
        Ok(surplus)
    }

    /// One address, if it is remembered.
    pub fn get(&mut self, address: &ControlAddress) -> Option<&mut Link> {
        self.by_address.get_mut(address)
    }

    /// The address that is called by this connection, or will be.
    pub fn of_connection(&self, connection: ConnectionId) -> Option<&ControlAddress> {
        self.by_connection.get(&connection)
    }

    /// The way to an address has changed.
    pub fn set_road(&mut self, address: &ControlAddress, road: Road) {
        let Some(link) = self.by_address.get_mut(address) else { return };
        let connection_of = |road: &Road| match road {
            Road::Dialing { connection, .. } | Road::Up { connection, .. } | Road::Closing { connection } => Some(*connection),
            Road::Down | Road::Resolving => None,
        };
        let (old, new) = (connection_of(&link.road), connection_of(&road));
        if let Some(old) = old.filter(|old| new != Some(*old)) {
            self.by_connection.remove(&old);
        }
        if let Some(new) = new {
            self.by_connection.insert(new, address.clone());
        }
        if !matches!(road, Road::Up { .. }) {
            link.owes_since = None;
        }
        link.road = road;
    }

    /// All connections with a peer are being closed.
    pub fn leave(&mut self, peer: PeerId) {
        for link in self.by_address.values_mut() {
            if let Road::Up { connection, peer: other } = link.road
                && other == peer
            {
                (link.road, link.owes_since) = (Road::Closing { connection }, None);
            }
        }
    }

    /// How many addresses are connected with this peer.
    pub fn roads_to(&self, peer: PeerId) -> usize {
        self.by_address.values().filter(|link| matches!(link.road, Road::Up { peer: other, .. } if other == peer)).count()
    }

    /// Forgets the idle address that was used the longest ago, one without a connection before one with. The way to it, as far as it was made.
    fn forget_one(&mut self) -> Option<Road> {
        let idle = self.by_address.iter().filter(|(_, link)| link.is_idle());
        let (address, _) = idle.min_by_key(|(_, link)| (link.road != Road::Down, link.last_used))?;
        let address = address.clone();
        let road = self.by_address.remove(&address)?.road;
        if let Road::Up { connection, .. } = road {
            self.by_connection.remove(&connection);
        }
        Some(road)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::control::backoff::Pauses;

    const MOST: usize = 3;
    const PAUSES: Pauses = Pauses { min: Duration::from_secs(1), max: Duration::from_secs(1) };

    fn address(number: u8) -> ControlAddress {
        SocketAddr::from(([10, 0, 0, number], 7)).into()
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn up(number: usize) -> Road {
        let connection = ConnectionId::new_unchecked(number);
        Road::Up { connection, peer: PeerId::random() }
    }

    /// All calls of it are answered.
    fn rest(links: &mut Links, number: u8) {
        links.get(&address(number)).unwrap().waiting.clear();
    }

    #[test]
    fn the_one_idle_longest_gives_way_and_none_in_use() {
        let mut links = Links::new(MOST);
        for number in 0..3 {
            assert_eq!(links.take(&address(number), CallId(0), at(u64::from(number))), Ok(None));
        }
        assert_eq!(links.take(&address(9), CallId(0), at(9)), Err(Refusal::Full));
        links.set_road(&address(0), up(0));
        rest(&mut links, 0);
        rest(&mut links, 2);
        // The one without a connection goes first, though it was used later.
        assert_eq!(links.take(&address(9), CallId(0), at(9)), Ok(None));
        assert!(links.get(&address(2)).is_none() && links.get(&address(0)).is_some());
        let connection = ConnectionId::new_unchecked(0);
        assert_eq!(links.take(&address(8), CallId(0), at(10)), Ok(Some(connection)));
        assert_eq!((links.of_connection(connection), links.by_address.len()), (None, MOST));
        assert_eq!(links.take(&address(7), CallId(0), at(11)), Err(Refusal::Full));
    }

    #[test]
    fn a_failed_one_is_left_alone() {
        let (mut links, mut rng) = (Links::new(MOST), StdRng::seed_from_u64(1));
        links.take(&address(1), CallId(1), at(0)).unwrap();
        links.get(&address(1)).unwrap().backoff.failed(at(0), PAUSES, &mut rng);
        assert!(matches!(links.take(&address(1), CallId(2), at(0)), Err(Refusal::BackingOff(_))));
        assert_eq!(links.take(&address(1), CallId(3), at(1)), Ok(None));
        assert_eq!(links.get(&address(1)).unwrap().waiting, [CallId(1), CallId(3)]);
    }

    #[test]
    fn a_connection_leads_to_its_address_as_long_as_it_is_used() {
        let mut links = Links::new(MOST);
        links.take(&address(1), CallId(1), at(0)).unwrap();
        let dialed = ConnectionId::new_unchecked(5);
        links.set_road(&address(1), Road::Dialing { connection: dialed, rest: VecDeque::new() });
        assert_eq!(links.of_connection(dialed), Some(&address(1)));
        links.set_road(&address(1), up(5));
        assert_eq!(links.of_connection(dialed), Some(&address(1)));
        links.set_road(&address(1), Road::Closing { connection: dialed });
        assert_eq!(links.of_connection(dialed), Some(&address(1)));
        links.set_road(&address(1), Road::Down);
        assert_eq!(links.of_connection(dialed), None);
    }

    #[test]
    fn a_connection_stays_to_whose_peer_another_address_leads() {
        let (mut links, peer) = (Links::new(2), PeerId::random());
        for number in 1..=2 {
            links.take(&address(number), CallId(0), at(u64::from(number))).unwrap();
            links.set_road(&address(number), Road::Up { connection: ConnectionId::new_unchecked(number.into()), peer });
            rest(&mut links, number);
        }
        assert_eq!(links.take(&address(3), CallId(0), at(3)), Ok(None));
        rest(&mut links, 3);
        links.set_road(&address(3), up(3));
        assert_eq!(links.take(&address(4), CallId(0), at(4)), Ok(Some(ConnectionId::new_unchecked(2))));
    }

    #[test]
    fn who_is_asked_and_says_nothing_is_silent() {
        let (mut links, patience) = (Links::new(MOST), Duration::from_secs(2));
        links.take(&address(1), CallId(1), at(0)).unwrap();
        let peer = PeerId::random();
        let road = Road::Up { connection: ConnectionId::new_unchecked(1), peer };
        links.set_road(&address(1), road);
        let link = links.get(&address(1)).unwrap();
        assert_eq!(link.silent_for(patience, at(9)), None);
        // Later calls do not begin it anew.
        link.asked(at(10));
        link.asked(at(11));
        assert_eq!([11, 12].map(|now| link.silent_for(patience, at(now))), [None, Some(peer)]);
        // An answer to one does, for the other.
        link.settled();
        link.heard(at(12));
        assert_eq!([13, 14].map(|now| link.silent_for(patience, at(now))), [None, Some(peer)]);
        link.settled();
        assert_eq!(link.silent_for(patience, at(99)), None);
        link.asked(at(100));
        links.leave(peer);
        assert_eq!(links.get(&address(1)).unwrap().silent_for(patience, at(200)), None);
    }
}
