//! What is kept is shared among networks.

use super::*;

/// Announces as from another network.
fn from(bed: &mut Bed, number: u8, record: &PeerRecord, of: u64) -> Result<Answer, Refusal> {
    bed.from = network(number);
    bed.try_announce(record, says(topic(of), 0))
}

/// The topics that a peer has announced there.
fn topics_of(bed: &Bed, number: u64) -> usize {
    bed.tracker.peers.number(&peer(number)).map_or(0, |peer| bed.tracker.peers.get(peer).topics.len())
}

/// All sums are those of what is kept.
fn check_sums(bed: &Bed) {
    let tracker = &bed.tracker;
    for number in 1..=9 {
        let of_network = (0..200).filter_map(|other| tracker.peers.number(&peer(other))).map(|peer| tracker.peers.get(peer));
        let of_network: Vec<_> = of_network.filter(|peer| peer.network == network(number)).collect();
        assert_eq!(tracker.announced.of(network(number)), of_network.iter().map(|peer| peer.topics.len()).sum::<usize>());
        assert_eq!(tracker.brought.of(network(number)), of_network.iter().map(|peer| peer.brought.len()).sum::<usize>());
    }
    let brought: usize = (1..=9).map(|number| tracker.brought.of(network(number))).sum();
    assert_eq!(brought, tracker.topics.len());
}

#[test]
fn one_network_with_any_number_of_keys_keeps_nobody_out() {
    let bounds = TrackerSettings { most_topics: 100, most_topics_of_peer: 40, ..Default::default() };
    let mut bed = Bed::new(bounds);
    let fleet: Vec<_> = (0..30).map(|number| record(number, "eu/a")).collect();
    // A fleet behind one address, which has much to tell of few blobs.
    for (one, of) in fleet.iter().flat_map(|one| (0..20).map(move |of| (one, of))) {
        from(&mut bed, 1, one, of).unwrap();
    }
    // Whoever would fill the rest with what is nowhere.
    let flood = |bed: &mut Bed, keys: std::ops::Range<u64>| {
        for (key, of) in keys.flat_map(|key| (0..40).map(move |of| (key, of))) {
            let _ = from(bed, 2, &record(key, "eu/b"), 1_000 + key * 100 + of);
        }
    };
    flood(&mut bed, 100..125);
    assert_eq!(bed.usage()[0], 100);
    // What is new elsewhere is taken; of what the fleet has nothing is lost for it.
    for of in 20..40 {
        from(&mut bed, 1, &fleet[0], of).unwrap();
        from(&mut bed, 3, &record(50, "eu/c"), 500 + of).unwrap();
        flood(&mut bed, 125..126);
    }
    assert_eq!((topics_of(&bed, 0), topics_of(&bed, 29), topics_of(&bed, 50)), (40, 20, 20));
    assert_eq!(bed.usage()[0], 100);
    check_sums(&bed);
    // Each may have as much as any other, and no more.
    for of in 40..60 {
        let _ = from(&mut bed, 1, &fleet[1], of);
    }
    assert_eq!(from(&mut bed, 1, &fleet[2], 99), Err(Refusal::ManyTopics(100)));
    check_sums(&bed);
    bed.pass(45_000);
    assert_eq!(bed.usage(), [0; 3]);
    check_sums(&bed);
}

#[test]
fn nor_do_any_number_of_its_announcements() {
    let mut bed = Bed::new(TrackerSettings { most_announcements: 50, ..Default::default() });
    for key in 0..50 {
        from(&mut bed, 2, &record(100 + key, "eu/b"), key % 5).unwrap();
        bed.pass(10);
    }
    assert_eq!(from(&mut bed, 2, &record(99, "eu/b"), 1), Err(Refusal::ManyAnnouncements(50)));
    for of in 0..24 {
        from(&mut bed, 1, &record(1, "eu/a"), of).unwrap();
        check_sums(&bed);
    }
    assert_eq!((bed.usage()[2], topics_of(&bed, 1), bed.tracker.totals().evicted), (50, 24, 24));
    assert_eq!(from(&mut bed, 1, &record(1, "eu/a"), 30).map(|_| ()), Ok(()), "26 against 24");
    assert_eq!(from(&mut bed, 1, &record(1, "eu/a"), 31), Err(Refusal::ManyAnnouncements(50)));
}

#[test]
fn what_one_brought_is_another_s_when_it_leaves_and_moves_with_it() {
    let mut bed = Bed::new(TrackerSettings::default());
    let (one, two) = (record(1, "eu/a"), record(2, "eu/a"));
    for of in 0..3 {
        from(&mut bed, 1, &one, of).unwrap();
    }
    from(&mut bed, 2, &two, 0).unwrap();
    assert_eq!([1, 2].map(|number| bed.tracker.brought.of(network(number))), [3, 0]);
    // From elsewhere in the same /64 it is the same network.
    bed.from = "fd00::1".parse().unwrap();
    bed.announce(&one, says(topic(0), 0));
    assert_eq!(bed.tracker.brought.of("fd00::".parse().unwrap()), 3);
    assert_eq!([1, 2].map(|number| bed.tracker.brought.of(network(number))), [0, 0]);
    bed.tracker.gone(&one.peer, bed.now);
    assert_eq!([1, 2].map(|number| bed.tracker.brought.of(network(number))), [0, 1]);
    assert_eq!(bed.tracker.announced.of("fd00::".parse().unwrap()), 0);
    bed.tracker.gone(&two.peer, bed.now);
    assert_eq!(bed.usage(), [0; 3]);
    check_sums(&bed);
}
