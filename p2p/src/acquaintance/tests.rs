//! What is promised of a node's book of peers.

mod dialing;
mod driver;
mod hearsay;
mod model;

use std::{net::SocketAddr, time::Duration};

use libp2p_identity::PeerId;
use rand::{SeedableRng as _, rngs::StdRng};

use super::{AcquaintanceSettings, Acquaintances, Holds, Need, Source, Why};
use crate::{locality::Locality, moment::Moment, record::PeerRecord, topic::TopicKey};

const TOPIC: TopicKey = TopicKey([7; 32]);
const NEED: Need = Need { peers: 0, beyond: 0, topic: TOPIC };
/// The node whose book it is.
const OWN: u16 = 0;

pub fn peer(number: u16) -> PeerId {
    let [high, low] = number.to_be_bytes();
    // The identity multihash of two bytes.
    PeerId::from_bytes(&[0, 2, high, low]).unwrap()
}

fn s(s: u64) -> Moment {
    Moment(Duration::from_secs(s))
}

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn record_at(number: u16, zone: &str, rack: &str) -> PeerRecord {
    let pieces = vec![SocketAddr::from(([10, 0, 0, 1], number + 1))];
    let locality = Locality { zone: zone.into(), rack: rack.into(), ..Locality::default() };
    PeerRecord { peer: peer(number), pieces, locality }
}

fn record(number: u16) -> PeerRecord {
    record_at(number, "a", "")
}

fn book(settings: AcquaintanceSettings) -> Acquaintances {
    Acquaintances::new(record(OWN), settings)
}

/// A book that knows these by a tracker, who said that they have some of [`TOPIC`].
fn told_of(numbers: std::ops::Range<u16>, now: Moment) -> Acquaintances {
    let mut book = book(AcquaintanceSettings::default());
    numbers.for_each(|number| tell(&mut book, record(number), now));
    book
}

fn tell(book: &mut Acquaintances, record: PeerRecord, now: Moment) {
    let peer = record.peer;
    assert!(book.learn(record, Source::Tracker, now) && book.says(TOPIC, peer, Holds::Some, now));
}

fn dial(book: &mut Acquaintances, now: Moment) -> Vec<PeerId> {
    book.whom_to_dial(&[NEED], now, &mut rng(now.0.as_secs()))
}

#[test]
fn who_lied_is_shunned_on_every_connection_for_a_time() {
    let mut book = told_of(1..3, s(0));
    assert!(book.connected(peer(1), s(0)) && book.connected(peer(2), s(0)));
    assert_eq!(book.ban(peer(1), Why::WrongPiece, s(1)), s(61));
    assert_eq!(book.whom_to_drop(s(1)), [peer(1)]);
    book.lost(peer(1), s(1), &mut rng(0));
    assert!(!book.connected(peer(1), s(2)) && !book.dialing(peer(1), s(2)) && !book.says(TOPIC, peer(1), Holds::All, s(2)));
    // That others tell of it, or it of itself, changes nothing.
    tell_again(&mut book, s(50));
    assert_eq!(dial(&mut book, s(50)), []);
    let told = book.introduce(&TOPIC, &record(9), s(50), &mut rng(0));
    assert_eq!(told, [record(2)]);
    assert_eq!((book.report(s(50)).banned.len(), book.report(s(50)).wrong_pieces), (1, 1));
    tell_again(&mut book, s(61));
    assert!(book.says(TOPIC, peer(1), Holds::Some, s(61)));
    assert_eq!((dial(&mut book, s(61)), book.report(s(61)).banned.len()), (vec![peer(1)], 0));
}

fn tell_again(book: &mut Acquaintances, now: Moment) {
    assert!(book.learn(record(1), Source::Tracker, now) && book.learn(record(1), Source::Itself, now));
}

#[test]
fn those_of_whom_a_liar_told_are_not_shunned() {
    let mut book = told_of(1..2, s(0));
    assert!(book.learn(record(2), Source::Exchange(peer(1)), s(0)) && book.says(TOPIC, peer(2), Holds::Some, s(0)));
    book.ban(peer(1), Why::WrongPiece, s(1));
    assert_eq!(dial(&mut book, s(1)), [peer(2)]);
    // But it is not listened to any more.
    assert!(!book.learn(record(3), Source::Exchange(peer(1)), s(1)));
}

#[test]
fn connections_are_bounded_and_the_idle_make_room() {
    let mut book = book(AcquaintanceSettings { connections: 32, ..AcquaintanceSettings::default() });
    for number in 1..33 {
        assert!(book.connected(peer(number), s(0)) && book.connected(peer(number), s(0)));
    }
    assert!(!book.connected(peer(99), s(0)) && book.usage().connected == 32);
    assert_eq!(book.whom_to_drop(s(4)), []);
    (3..33).for_each(|number| book.used(&peer(number), s(4)));
    (3..33).rev().for_each(|number| book.used(&peer(number), s(4 + u64::from(33 - number))));
    // There is no room, so those go that are idle for a short time already, but not many at once.
    assert_eq!(book.whom_to_drop(s(15)), [peer(1), peer(2)]);
    for number in 1..3 {
        book.lost(peer(number), s(15), &mut rng(0));
    }
    // There is room, so those go only that are idle for long: that of longest ago first.
    assert_eq!(book.whom_to_drop(s(15)), []);
    assert_eq!(book.whom_to_drop(s(66)), [peer(32), peer(31)]);
}

#[test]
fn who_has_gone_is_told_of_no_more() {
    let mut book = told_of(1..4, s(0));
    assert!(book.connected(peer(1), s(1)) && book.connected(peer(2), s(1)));
    let told = |book: &Acquaintances, now| {
        let mut told: Vec<_> =
            book.introduce(&TOPIC, &record(9), now, &mut rng(0)).into_iter().map(|record| record.peer).collect();
        told.sort_unstable();
        told
    };
    assert_eq!(told(&book, s(2)), [peer(1), peer(2), peer(3)]);
    assert_eq!(told(&book, s(100)), [peer(1), peer(2)]);
    book.lost(peer(1), s(100), &mut rng(0));
    assert_eq!(told(&book, s(101)), [peer(1), peer(2)]);
    assert_eq!(told(&book, s(160)), [peer(2)]);
    // One that could not be reached is not told of either, nor one that has it no more.
    book.unsay(&TOPIC, &peer(2));
    assert!(book.says(TOPIC, peer(1), Holds::Some, s(161)) && told(&book, s(161)) == [peer(1)]);
    book.failed(peer(1), s(161), &mut rng(0));
    assert_eq!(told(&book, s(500)), []);
    assert!(book.says(TOPIC, peer(1), Holds::Some, s(500)));
    assert_eq!(told(&book, s(500)), []);
}

#[test]
fn a_peer_is_told_of_its_neighbours_first_and_not_of_itself() {
    let mut book = book(AcquaintanceSettings::default());
    for number in 1..60 {
        let zone = if number % 3 == 0 { "b" } else { "a" };
        tell(&mut book, record_at(number, zone, ""), s(0));
    }
    let told = book.introduce(&TOPIC, &record_at(3, "b", ""), s(1), &mut rng(0));
    assert!(told.len() == 16 && told.iter().all(|record| record.locality.zone == "b" && record.peer != peer(3)), "{told:?}");
    assert_ne!(told, book.introduce(&TOPIC, &record_at(3, "b", ""), s(1), &mut rng(1)));
    assert_eq!(book.introduce(&TopicKey([8; 32]), &record(3), s(1), &mut rng(0)), []);
}
