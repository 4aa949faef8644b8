use super::*;

#[test]
fn in_a_flash_crowd_each_stripe_of_a_zone_has_one_holder_and_nobody_more_than_its_share() {
    let mut bed = Bed::new(TrackerSettings::default());
    let all: Vec<_> = (0..400).map(|number| record(number, if number % 2 == 0 { "eu/a" } else { "eu/b" })).collect();
    // When each comes next, and what it holds until when.
    let mut turns: BTreeSet<_> = (0..400_u64).map(|number| (Moment(Duration::from_micros(number * 250)), number)).collect();
    let mut leases = BTreeMap::<u64, (Vec<u8>, Moment)>::new();
    let mut pieces = vec![0; 400];
    while let Some((now, number)) = turns.pop_first()
        && now < Moment(Duration::from_secs(20))
    {
        bed.now = now;
        let index = usize::try_from(number).unwrap();
        pieces[index] += 1;
        let answer = bed.announce(&all[index], says(topic(1), pieces[index]));
        leases.insert(number, (answer.origin.stripes, now + answer.origin.term));
        turns.insert((now + answer.again_in, number));
        for zone in 0..2 {
            let of_zone = leases.iter().filter(|(holder, (_, until))| *holder % 2 == zone && now < *until);
            let held: Vec<_> = of_zone.flat_map(|(_, (stripes, _))| stripes).collect();
            assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len(), "{held:?} of zone {zone} at {now:?}");
            if now > Moment(Duration::from_secs(5)) {
                assert_eq!(held.len(), 4, "{held:?} of zone {zone} at {now:?}");
                assert!(leases.values().all(|(stripes, until)| *until <= now || stripes.len() <= 1));
            }
        }
    }
    assert!(pieces.iter().all(|times| *times >= 2), "all came back within a third of a lease, 15 s: {pieces:?}");
}

#[test]
fn a_zone_that_has_a_seed_asks_it_and_not_the_origin_unless_nobody_gets_on() {
    let mut bed = Bed::new(TrackerSettings::default());
    let [seed, one, other] = [record(1, "eu/a"), record(2, "eu/a"), record(3, "eu/b")];
    bed.announce(&seed, says(topic(1), 100));
    assert_eq!(bed.announce(&other, says(topic(1), 0)).origin.stripes, [0, 1, 2, 3], "another zone has no seed");
    for pieces in 0..10 {
        assert!(bed.announce(&one, says(topic(1), pieces)).origin.stripes.is_empty());
        bed.pass(2_000);
    }
    assert!(bed.announce(&one, says(topic(1), 9)).origin.stripes.is_empty());
    bed.announce(&seed, says(topic(1), 100));
    bed.pass(3_000);
    // Five seconds after the last that came.
    assert_eq!(bed.announce(&one, says(topic(1), 9)).origin.stripes, [0, 1, 2, 3]);
    bed.pass(2_000);
    assert_eq!(bed.announce(&one, says(topic(1), 20)).origin.stripes, [0, 1, 2, 3], "that it gets on by it does not end it");
    bed.announce(&one, says(topic(1), 100));
    assert_eq!(bed.announce(&record(4, "eu/a"), says(topic(1), 0)).origin.stripes.len(), 4);
}

#[test]
fn one_that_lies_to_have_all_stops_a_zone_once_and_a_true_seed_is_believed() {
    let mut bed = Bed::new(TrackerSettings::default());
    let [liar, one] = [record(1, "eu/a"), record(2, "eu/a")];
    let (mut pieces, mut without) = (0, 0);
    // Three minutes, in which one gets on whenever it holds a stripe, and not otherwise.
    for _ in 0..90 {
        bed.announce(&liar, says(topic(1), 100));
        let has_none = bed.announce(&one, says(topic(1), pieces)).origin.stripes.is_empty();
        (pieces, without) = (pieces + u32::from(!has_none), without + u32::from(has_none));
        bed.pass(2_000);
    }
    assert_eq!(without, 3, "for one term, at the beginning");
    bed.announce(&record(3, "eu/a"), says(topic(1), 100));
    assert!(bed.announce(&one, says(topic(1), 99)).origin.stripes.is_empty());
    // Each goes as it came.
    for number in 1..4 {
        bed.tracker.gone(&peer(number), bed.now);
    }
    assert_eq!(bed.usage(), [0; 3]);
}

#[test]
fn what_a_holder_held_is_free_once_it_leaves_or_has_all() {
    for leaves in 0..4 {
        let mut bed = Bed::new(TrackerSettings::default());
        let (one, two) = (record(1, "eu/a"), record(2, "eu/a"));
        assert_eq!(bed.announce(&one, says(topic(1), 0)).origin.stripes.len(), 4);
        assert_eq!(bed.announce(&two, says(topic(1), 0)).origin.stripes.len(), 0);
        match leaves {
            0 => bed.tracker.gone(&one.peer, bed.now),
            1 => bed.tracker.withdraw(&one.peer, &topic(1), bed.now),
            2 => drop(bed.announce(&record(1, "eu/b"), says(topic(1), 0))),
            _ => drop(bed.announce(&one, Announcement { wants_origin: 0, ..says(topic(1), 0) })),
        }
        assert_eq!(bed.announce(&two, says(topic(1), 0)).origin.stripes, [0, 1, 2, 3], "{leaves}");
    }
}
