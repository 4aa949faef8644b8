//! Whom a node dials.

use super::*;
use crate::locality::Nearness;

#[test]
fn as_many_as_a_blob_wants_the_nearest_first() {
    let mut book =
        Acquaintances::new(record_at(OWN, "a", "1"), AcquaintanceSettings { dials: 64, ..AcquaintanceSettings::default() });
    for number in 1..61 {
        let (zone, rack) = if number % 2 == 0 { ("a", "1") } else { ("b", "9") };
        tell(&mut book, record_at(number, zone, rack), s(0));
    }
    let dialed = dial(&mut book, s(1));
    let far = dialed.iter().filter(|peer| book.nearness(peer) > Some(Nearness::Rack)).count();
    assert_eq!((dialed.len(), far), (24, 2));
    let need = Need { peers: 20, beyond: 2, ..NEED };
    let dialed = book.whom_to_dial(&[need], s(1), &mut rng(0));
    assert!(dialed.len() == 4 && dialed.iter().all(|peer| book.nearness(peer) == Some(Nearness::Rack)));
    assert_eq!(book.whom_to_dial(&[Need { peers: 24, beyond: 0, ..NEED }], s(1), &mut rng(0)), []);
}

#[test]
fn who_is_being_dialed_is_counted_and_not_dialed_again() {
    let mut book = told_of(1..100, s(0));
    let first = dial(&mut book, s(1));
    assert_eq!(first.len(), 16);
    assert!(first.iter().all(|peer| book.dialing(*peer, s(1)) && !book.dialing(*peer, s(1))));
    assert_eq!(dial(&mut book, s(1)), []);
    assert!(first.iter().all(|peer| book.connected(*peer, s(1))));
    let need = Need { peers: 16, ..NEED };
    let next = book.whom_to_dial(&[need], s(2), &mut rng(1));
    assert!(next.len() == 8 && next.iter().all(|peer| !first.contains(peer)));
    assert!(next[..4].iter().all(|peer| book.dialing(*peer, s(2))));
    assert_eq!(book.whom_to_dial(&[need], s(2), &mut rng(1)).len(), 4);
}

#[test]
fn each_blob_gets_its_turn_and_the_neediest_first() {
    let mut book = book(AcquaintanceSettings { dials: 5, ..AcquaintanceSettings::default() });
    let topics = [1, 2, 3].map(|byte| TopicKey([byte; 32]));
    for number in 1..31 {
        assert!(book.learn(record(number), Source::Tracker, s(0)));
        assert!(book.says(topics[usize::from((number - 1) / 10)], peer(number), Holds::Some, s(0)));
    }
    let need = |topic: usize, peers| Need { peers, beyond: 2, topic: topics[topic] };
    let dialed = book.whom_to_dial(&[need(0, 9), need(1, 0), need(2, 5)], s(1), &mut rng(0));
    let of: Vec<_> = dialed
        .iter()
        .map(|dialed| (1..31).find(|number| peer(*number) == *dialed).unwrap())
        .map(|number| (number - 1) / 10)
        .collect();
    assert_eq!(of, [1, 2, 0, 1, 2]);
}

#[test]
fn one_connection_serves_several_blobs() {
    let mut book = told_of(1..10, s(0));
    let other = TopicKey([8; 32]);
    assert!((1..10).all(|number| book.says(other, peer(number), Holds::Some, s(0))));
    let dialed = book.whom_to_dial(&[NEED, Need { topic: other, ..NEED }], s(1), &mut rng(0));
    assert_eq!(dialed.len(), 9);
}

#[test]
fn who_could_not_be_reached_is_let_be_for_a_while() {
    let mut book = told_of(1..2, s(0));
    let mut now = s(0);
    for longest_ms in [200, 400, 800, 1600] {
        assert_eq!(dial(&mut book, now), [peer(1)]);
        assert!(book.dialing(peer(1), now));
        book.failed(peer(1), now, &mut rng(1));
        let longest = Duration::from_millis(longest_ms);
        assert_eq!(dial(&mut book, now + longest.mul_f64(0.499)), []);
        now += longest;
    }
    // One that stays has paid its debt.
    assert!(book.dialing(peer(1), now) && book.connected(peer(1), now));
    book.lost(peer(1), now + Duration::from_secs(5), &mut rng(1));
    now += Duration::from_secs(5);
    assert_eq!(dial(&mut book, now), [peer(1)]);
    book.failed(peer(1), now, &mut rng(1));
    assert_eq!(dial(&mut book, now + Duration::from_millis(200)), [peer(1)]);
}

#[test]
fn who_closes_at_once_is_not_dialed_at_once() {
    let mut book = told_of(1..2, s(0));
    let mut pauses = Vec::new();
    let mut now = Duration::ZERO;
    for _ in 0..5 {
        let began = now;
        while dial(&mut book, Moment(now)).is_empty() {
            now += Duration::from_millis(10);
        }
        pauses.push(now.saturating_sub(began));
        assert!(book.dialing(peer(1), Moment(now)) && book.connected(peer(1), Moment(now)));
        book.lost(peer(1), Moment(now), &mut rng(1));
    }
    assert!(pauses[0].is_zero() && pauses.is_sorted() && pauses[4] >= Duration::from_millis(800), "{pauses:?}");
}

#[test]
fn a_dial_of_which_nothing_is_heard_is_given_up() {
    let mut book = told_of(1..3, s(0));
    assert!(book.dialing(peer(1), s(0)));
    assert_eq!(dial(&mut book, s(9)), [peer(2)]);
    dial(&mut book, s(10));
    assert_eq!((book.usage().dialing, book.usage().failures), (0, 1));
    assert_eq!(dial(&mut book, s(11)).len(), 2);
}

#[test]
fn what_was_said_long_ago_is_not_acted_on() {
    let mut book = told_of(1..20, s(0));
    book.settings.blind_connections = 0;
    assert_eq!(dial(&mut book, s(59)).len(), 16);
    assert_eq!(dial(&mut book, s(60)), []);
    // Nor is a peer dialed of whom nobody told where it is, for long.
    assert!((1..20).all(|number| book.says(TOPIC, peer(number), Holds::Some, s(599))));
    assert_eq!((dial(&mut book, s(599)).len(), dial(&mut book, s(600)).len()), (16, 0));
}

#[test]
fn a_small_fleet_needs_no_tracker() {
    let mut book = book(AcquaintanceSettings { dials: 64, ..AcquaintanceSettings::default() });
    for number in 1..61 {
        let source = if number % 2 == 0 { Source::Static } else { Source::Mdns };
        assert!(book.learn(record(number), source, s(0)));
    }
    // Nobody says what they have; as many are tried as a blob wants, and no more however many blobs are wanted.
    let other = Need { topic: TopicKey([8; 32]), ..NEED };
    let dialed = book.whom_to_dial(&[NEED, other], s(1), &mut rng(0));
    assert_eq!(dialed.len(), 24);
    assert!(dialed.iter().all(|peer| book.dialing(*peer, s(1)) && book.connected(*peer, s(1))));
    assert_eq!(book.whom_to_dial(&[NEED, other], s(1), &mut rng(0)), []);
    // The operator's list holds for ever.
    for peer in &dialed {
        book.lost(*peer, s(100), &mut rng(0));
    }
    let later = dial(&mut book, s(100_000));
    assert!(later.len() == 24 && later.iter().all(|dialed| (1..31).any(|half| peer(2 * half) == *dialed)));
}

#[test]
fn who_is_alone_tries_whom_it_knows() {
    let mut book = book(AcquaintanceSettings::default());
    assert!((1..61).all(|number| book.learn(record(number), Source::Tracker, s(0))));
    let dialed = dial(&mut book, s(1));
    assert_eq!(dialed.len(), 8);
    assert!(dialed.iter().all(|peer| book.dialing(*peer, s(1)) && book.connected(*peer, s(1))));
    assert_eq!(dial(&mut book, s(2)), []);
    assert_eq!(book.whom_to_dial(&[], s(2), &mut rng(0)), []);
}

#[test]
fn no_more_are_dialed_than_may_be_connected() {
    let mut book = told_of(1..100, s(0));
    book.settings.connections = 10;
    assert!((50..57).all(|number| book.connected(peer(number), s(0))));
    let dialed = dial(&mut book, s(1));
    assert_eq!(dialed.len(), 3);
    assert!(dialed.iter().all(|peer| book.dialing(*peer, s(1))) && dial(&mut book, s(1)).is_empty());
    // Someone else took the room meanwhile.
    assert!((60..63).all(|number| book.connected(peer(number), s(1))) && !book.connected(dialed[0], s(1)));
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| told_of(1..100, s(0)).whom_to_dial(&[NEED], s(1), &mut rng(seed));
    assert!(run(1) == run(1) && run(1) != run(2));
}

#[test]
fn who_told_of_a_peer_is_kept_in_mind() {
    let mut book = book(AcquaintanceSettings::default());
    for (number, source) in (1..).zip([Source::Itself, Source::Tracker, Source::Static, Source::Mdns, Source::Exchange(peer(9))])
    {
        book.learn(record(number), source, s(0));
        // What it says of itself makes no difference.
        book.learn(record(number), Source::Itself, s(1));
    }
    let known = [1, 2, 3, 4, 5].map(|number| (book.is_tracked(&peer(number)), book.is_found(&peer(number))));
    assert_eq!(known, [(false, false), (true, false), (false, true), (false, true), (false, false)]);
}

#[test]
fn a_dial_is_over_when_there_is_a_connection_whoever_made_it() {
    let mut book = told_of(1..2, s(0));
    assert!(book.dialing(peer(1), s(1)) && book.connected(peer(1), s(1)));
    assert_eq!((book.usage().dialing, book.usage().connected), (0, 1));
    assert!(!book.dialing(peer(1), s(1)), "nor is it dialed while it is connected");
    assert_eq!((book.whom_to_dial(&[NEED], s(60), &mut rng(0)), book.usage().failures), (Vec::new(), 0));
}
