//! What is believed of what others tell.

use super::*;
use crate::locality::{MOST_NAME_BYTES, Nearness};

fn moved(number: u16, port: u16) -> PeerRecord {
    PeerRecord { pieces: vec![SocketAddr::from(([10, 9, 9, 9], port))], ..record(number) }
}

fn ports(book: &Acquaintances, number: u16) -> Vec<u16> {
    book.record(&peer(number)).unwrap().pieces.iter().map(SocketAddr::port).collect()
}

#[test]
fn hearsay_does_not_take_the_place_of_what_is_known() {
    let mut book = book(AcquaintanceSettings::default());
    let by = |teller| Source::Exchange(peer(teller));
    assert!(
        book.learn(moved(1, 10), by(8), s(0))
            && book.learn(moved(1, 11), by(9), s(0))
            && book.learn(moved(1, 12), Source::Tracker, s(0))
    );
    assert!(!book.learn(moved(1, 13), by(8), s(1)) && ports(&book, 1) == [12]);
    assert!(book.learn(moved(1, 14), Source::Itself, s(1)) && ports(&book, 1) == [14]);
    // If that can't be reached, or is old, it comes behind.
    book.failed(peer(1), s(2), &mut rng(0));
    assert!(book.learn(moved(1, 15), by(8), s(3)) && ports(&book, 1) == [14, 15]);
    assert!(book.learn(moved(2, 20), Source::Tracker, s(0)) && book.learn(moved(2, 21), by(8), s(600)));
    assert_eq!(ports(&book, 2), [20, 21]);
    // While it is being dialed, its record stays as it is.
    assert!(book.dialing(peer(2), s(601)) && !book.learn(moved(2, 22), by(8), s(601)) && ports(&book, 2) == [20, 21]);
    assert!(book.connected(peer(2), s(602)));
    book.lost(peer(2), s(700), &mut rng(0));
    assert!(!book.learn(moved(2, 23), by(8), s(701)) && ports(&book, 2) == [20, 21]);
    assert!(book.learn(moved(2, 24), Source::Tracker, s(702)) && ports(&book, 2) == [24]);
}

#[test]
fn liars_displace_no_address_that_is_known_and_one_another() {
    let mut book = book(AcquaintanceSettings::default());
    assert!(book.learn(record_at(1, "a", "1"), Source::Tracker, s(0)));
    book.failed(peer(1), s(1), &mut rng(0));
    for port in 1..30 {
        let lie = PeerRecord { locality: record_at(1, "b", "2").locality, ..moved(1, port) };
        assert!(book.learn(lie, Source::Exchange(peer(50 + port)), s(1)));
        assert_eq!((ports(&book, 1), book.nearness(&peer(1))), (vec![2, port], Some(Nearness::Zone)));
    }
    // Nor is it the first to go for it.
    book.settings.records = 2;
    assert!(book.learn(record(2), Source::Exchange(peer(9)), s(2)) && book.learn(record(3), Source::Tracker, s(3)));
    assert!(book.record(&peer(1)).is_some() && book.record(&peer(2)).is_none());
}

#[test]
fn nobody_but_the_operator_displaces_the_operators_list() {
    let mut book = book(AcquaintanceSettings::default());
    assert!(book.learn(moved(1, 10), Source::Static, s(0)));
    for time_s in [1, 10_000] {
        book.failed(peer(1), s(time_s), &mut rng(0));
        assert!(!book.learn(moved(1, 66), Source::Exchange(peer(8)), s(time_s)) && ports(&book, 1)[0] == 10);
        // What it or a tracker says itself comes beside.
        assert!(book.learn(moved(1, 20), Source::Tracker, s(time_s)) && ports(&book, 1) == [10, 20]);
        assert!(book.learn(moved(1, 21), Source::Itself, s(time_s)) && ports(&book, 1) == [10, 21]);
        assert!(book.dialing(peer(1), s(time_s + 100)) && book.connected(peer(1), s(time_s + 100)));
        book.lost(peer(1), s(time_s + 200), &mut rng(0));
    }
    assert!(book.learn(moved(1, 11), Source::Static, s(20_000)) && ports(&book, 1) == [11]);
}

#[test]
fn a_loopback_address_is_hearsay_only_of_one_on_this_machine() {
    let mut book = book(AcquaintanceSettings::default());
    let here = |number, ip: &str| PeerRecord { pieces: vec![format!("{ip}:7").parse().unwrap()], ..record(number) };
    assert!(book.learn(record(1), Source::Itself, s(0)) && book.learn(here(2, "127.0.0.1"), Source::Itself, s(0)));
    for loopback in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        assert!(!book.learn(here(3, loopback), Source::Exchange(peer(1)), s(0)), "{loopback}");
        assert!(!book.learn(here(3, loopback), Source::Exchange(peer(99)), s(0)), "{loopback}");
        assert!(book.learn(here(3, loopback), Source::Exchange(peer(2)), s(0)), "{loopback}");
    }
    // That one is here is not so because another says it.
    assert!(!book.learn(here(4, "127.0.0.1"), Source::Exchange(peer(3)), s(0)));
}

#[test]
fn a_connection_from_a_peer_proves_no_address_that_others_told() {
    let mut book = book(AcquaintanceSettings::default());
    assert!(book.learn(moved(1, 66), Source::Exchange(peer(9)), s(0)) && book.connected(peer(1), s(0)));
    assert!(book.says(TOPIC, peer(1), Holds::All, s(0)));
    assert_eq!(book.introduce(&TOPIC, &record(8), s(1), &mut rng(0)), []);
    assert!(book.learn(record(1), Source::Itself, s(1)));
    assert_eq!(book.introduce(&TOPIC, &record(8), s(1), &mut rng(0)), [record(1)]);
}

#[test]
fn hearsay_goes_no_further() {
    let mut book = book(AcquaintanceSettings::default());
    assert!(book.learn(record(1), Source::Exchange(peer(9)), s(0)) && book.says(TOPIC, peer(1), Holds::All, s(0)));
    assert_eq!(book.introduce(&TOPIC, &record(8), s(1), &mut rng(0)), []);
    assert_eq!(dial(&mut book, s(1)), [peer(1)]);
    assert!(book.dialing(peer(1), s(1)) && book.connected(peer(1), s(1)));
    assert_eq!(book.introduce(&TOPIC, &record(8), s(1), &mut rng(0)), [record(1)]);
}

#[test]
fn hearsay_goes_first_and_a_talker_fills_no_book() {
    let settings = AcquaintanceSettings { records: 20, records_per_teller: 5, ..AcquaintanceSettings::default() };
    let mut book = book(settings);
    assert!((1..11).all(|number| book.learn(record(number), Source::Tracker, s(0))));
    let told = (100..200).filter(|number| book.learn(record(*number), Source::Exchange(peer(1)), s(1))).count();
    assert_eq!((told, book.usage().records), (5, 15));
    for teller in 2..10 {
        assert!((0..5).all(|number| book.learn(record(200 + 10 * teller + number), Source::Exchange(peer(teller)), s(1))));
    }
    let known = |book: &Acquaintances| (1..11).filter(|number| book.record(&peer(*number)).is_some()).count();
    assert_eq!((book.usage().records, known(&book)), (20, 10));
    assert!((11..21).all(|number| book.learn(record(number), Source::Tracker, s(2))));
    assert!(!book.learn(record(300), Source::Exchange(peer(1)), s(2)) && known(&book) == 10);
    // Of what is known the one that was of no use for longest goes, but no connected one.
    assert!(book.connected(peer(1), s(2)) && book.says(TOPIC, peer(2), Holds::Some, s(2)));
    assert!((21..39).all(|number| book.learn(record(number), Source::Tracker, s(3))));
    assert!(book.usage().records == 20 && known(&book) == 2 && book.usage().sayings == 1);
    assert!(book.learn(record(39), Source::Tracker, s(4)) && known(&book) == 1 && book.usage().sayings == 0);
    // What is old makes room for hearsay.
    assert!(book.learn(record(300), Source::Exchange(peer(1)), s(603)));
}

#[test]
fn a_record_that_is_of_no_use_is_not_kept() {
    let mut book = book(AcquaintanceSettings::default());
    assert!(!book.learn(record(OWN), Source::Tracker, s(0)));
    let nowhere = ["0.0.0.0:5", "[::]:5", "10.0.0.1:0", "224.0.0.1:5"].map(|address| address.parse().unwrap()).to_vec();
    assert!(!book.learn(PeerRecord { pieces: nowhere.clone(), ..record(1) }, Source::Tracker, s(0)));
    let mut long = record(1);
    long.locality.host = "x".repeat(MOST_NAME_BYTES + 1);
    assert!(!book.learn(long, Source::Tracker, s(0)));
    assert!(!book.says(TOPIC, peer(1), Holds::All, s(0)) && book.usage().sayings == 0);
    let ports = |count: u16| (1..=count).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect::<Vec<_>>();
    let many = [nowhere, ports(30)].concat();
    assert!(book.learn(PeerRecord { pieces: many, ..record(1) }, Source::Tracker, s(0)));
    assert_eq!(book.record(&peer(1)).unwrap().pieces, ports(8));
}
