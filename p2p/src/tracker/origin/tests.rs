use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

fn settings(stripes: u8) -> TrackerSettings {
    TrackerSettings { stripes, ..TrackerSettings::default() }
}

fn at(time_ms: u64) -> Moment {
    Moment(Duration::from_millis(time_ms))
}

/// One that wants all, and makes progress if so said, at a time.
fn ask(origin: &mut Origin, peer: PeerNumber, has_moved: bool, time_ms: u64) -> Vec<u8> {
    if has_moved {
        origin.moved(at(time_ms));
    }
    origin.ask(Question { peer, wants: 4, has_moved, is_seeded: false }, at(time_ms), &settings(4)).stripes
}

#[test]
fn a_lone_node_has_all_and_shares_when_it_comes_back() {
    let mut origin = Origin::default();
    assert_eq!(ask(&mut origin, 1, true, 0), [0, 1, 2, 3]);
    assert!(ask(&mut origin, 2, true, 100).is_empty(), "none is torn away");
    assert_eq!(ask(&mut origin, 1, true, 600), [0, 1]);
    assert_eq!(ask(&mut origin, 2, true, 700), [2, 3]);
    assert!(ask(&mut origin, 3, true, 800).is_empty(), "a share is rounded up");
    assert!(ask(&mut origin, 4, true, 800).is_empty());
    assert_eq!(ask(&mut origin, 1, true, 1_000), [0]);
    assert_eq!((ask(&mut origin, 3, true, 1_100), ask(&mut origin, 4, true, 1_100)), (vec![1], vec![]));
    assert_eq!(origin.leave(1, at(1_200)), 1);
    assert_eq!((ask(&mut origin, 2, true, 1_300), ask(&mut origin, 3, true, 1_300)), (vec![2, 3], vec![0, 1]));
}

#[test]
fn those_that_come_together_share_soon() {
    let (mut origin, settings) = (Origin::default(), settings(4));
    let mut ask =
        |peer, time_ms| origin.ask(Question { peer, wants: 4, has_moved: true, is_seeded: false }, at(time_ms), &settings);
    let first = ask(1, 0);
    assert_eq!((first.stripes.len(), *first.again_in.end()), (4, Duration::from_millis(100)));
    let turns: Vec<_> = (2..7).map(|peer| *ask(peer, 10).again_in.end()).collect();
    // As many are called as there are stripes to be given up, one after the other; the rest wait for their turns.
    assert_eq!(turns[..3], [100, 110, 120].map(Duration::from_millis));
    assert!(turns[3..].iter().all(|turn| *turn >= settings.origin_term / 4), "{turns:?}");
    let shares: Vec<_> =
        [(1, 90), (2, 110), (3, 120), (4, 130), (5, 140)].map(|(peer, time)| ask(peer, time).stripes.len()).into();
    assert_eq!(shares, [1, 1, 1, 1, 0]);
}

#[test]
fn who_holds_a_stripe_is_asked_back_ever_later() {
    let (mut origin, settings) = (Origin::default(), settings(4));
    let (mut now, mut turns) = (0, Vec::new());
    for _ in 0..9 {
        let given = origin.ask(Question { peer: 1, wants: 4, has_moved: true, is_seeded: false }, at(now), &settings);
        let turn = u64::try_from(given.again_in.end().as_millis()).unwrap();
        (now, turns) = (now + turn, [turns, vec![turn]].concat());
    }
    assert_eq!(turns, [100, 100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500]);
}

#[test]
fn what_one_does_not_want_is_the_others() {
    let mut origin = Origin::default();
    let mut ask =
        |peer, wants| origin.ask(Question { peer, wants, has_moved: true, is_seeded: false }, at(0), &settings(4)).stripes.len();
    assert_eq!((ask(1, 4), ask(2, 1), ask(1, 4), ask(2, 1)), (4, 0, 3, 1));
    assert_eq!((ask(1, 4), ask(2, 9), ask(1, 2)), (3, 1, 2));
}

#[test]
fn who_makes_no_progress_loses_it_to_who_waits_and_to_nobody_else() {
    let mut origin = Origin::default();
    assert_eq!(ask(&mut origin, 1, false, 0).len(), 4);
    for time_ms in (2_500..60_000).step_by(2_500) {
        assert_eq!(ask(&mut origin, 1, false, time_ms).len(), 4, "nobody else wants it at {time_ms} ms");
    }
    ask(&mut origin, 2, false, 59_000);
    assert!(ask(&mut origin, 1, false, 60_000).is_empty());
    assert_eq!(ask(&mut origin, 2, false, 60_100).len(), 4, "who rests counts for no share");
    assert!(ask(&mut origin, 1, true, 62_500).is_empty());
    assert_eq!(ask(&mut origin, 2, true, 64_000).len(), 4);
    ask(&mut origin, 1, true, 65_000);
    assert_eq!(ask(&mut origin, 2, true, 66_000).len(), 2, "rested");
    assert_eq!(ask(&mut origin, 1, true, 66_500).len(), 2);
    // One that makes progress late in the term keeps its own.
    assert_eq!((ask(&mut origin, 1, false, 70_000).len(), ask(&mut origin, 2, true, 70_500).len()), (2, 2));
    assert_eq!((ask(&mut origin, 1, true, 71_000).len(), ask(&mut origin, 2, true, 75_000).len()), (2, 2));
    assert_eq!(ask(&mut origin, 1, false, 75_900).len(), 2);
}

#[test]
fn progress_is_asked_for_once_in_a_term() {
    let mut origin = Origin::default();
    assert_eq!((ask(&mut origin, 1, true, 0).len(), ask(&mut origin, 2, false, 100).len()), (4, 0));
    assert_eq!((ask(&mut origin, 1, false, 2_500).len(), ask(&mut origin, 1, false, 4_999).len()), (2, 2));
    assert_eq!((ask(&mut origin, 1, false, 5_000).len(), ask(&mut origin, 2, false, 5_000).len()), (0, 4));
}

#[test]
fn a_silent_holders_stripes_are_taken_when_its_term_is_over() {
    let mut origin = Origin::default();
    ask(&mut origin, 1, true, 0);
    assert!(ask(&mut origin, 2, true, 4_999).is_empty());
    assert_eq!(ask(&mut origin, 2, true, 5_000), [0, 1, 2, 3], "and counts for no share");
    assert!(ask(&mut origin, 1, true, 5_001).is_empty(), "it comes back late");
}

#[test]
fn one_that_asks_all_the_time_does_not_put_off_the_others() {
    let (mut origin, settings) = (Origin::default(), settings(4));
    ask(&mut origin, 1, true, 0);
    for time_ms in 0..200 {
        ask(&mut origin, 2, true, time_ms);
        if time_ms % 3 == 0 {
            origin.leave(2, at(time_ms));
        }
    }
    let given = origin.ask(Question { peer: 3, wants: 4, has_moved: true, is_seeded: false }, at(200), &settings);
    assert!(*given.again_in.end() <= settings.origin_term / 2, "{given:?}");
}

#[derive(Clone, Debug)]
enum Event {
    Ask { peer: PeerNumber, wants: u8, has_moved: bool, is_seeded: bool },
    Leave { peer: PeerNumber },
    Pass { time_ms: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    let ask = (0_u32..6, 1_u8..6, any::<bool>(), prop::bool::weighted(0.1));
    prop_oneof![
        6 => ask.prop_map(|(peer, wants, has_moved, is_seeded)| Event::Ask { peer, wants, has_moved, is_seeded }),
        1 => (0_u32..6).prop_map(|peer| Event::Leave { peer }),
        4 => (0_u64..3_000).prop_map(|time_ms| Event::Pass { time_ms }),
    ]
}

proptest! {
    #[test]
    fn a_stripe_has_one_holder_at_any_time(stripes in 0_u8..7, events in prop::collection::vec(event(), 0..150)) {
        let (mut origin, mut now, settings) = (Origin::default(), Moment::default(), settings(stripes));
        // Who was told what, until when.
        let mut told = BTreeMap::<PeerNumber, (Vec<u8>, Moment)>::new();
        for event in events {
            match event {
                Event::Ask { peer, wants, has_moved, is_seeded } => {
                    let before = told.remove(&peer).filter(|(_, until)| now < *until).map(|(held, _)| held).unwrap_or_default();
                    if has_moved {
                        origin.moved(now);
                    }
                    let given = origin.ask(Question { peer, wants, has_moved, is_seeded }, now, &settings);
                    prop_assert!(given.stripes.len() <= wants.into() && given.stripes.is_sorted());
                    prop_assert!(given.stripes.iter().all(|stripe| *stripe < stripes));
                    let latest = *given.again_in.end();
                    prop_assert!(given.stripes.is_empty() || latest <= settings.origin_term / 2);
                    prop_assert!(*given.again_in.start() > Duration::ZERO && latest <= settings.renewal());
                    let kept = given.stripes.iter().filter(|stripe| before.contains(stripe)).count();
                    let (new, lost) = (given.stripes.len() - kept, before.len() - kept);
                    prop_assert_eq!((given.new, given.lost), (new as u64, lost as u64));
                    told.insert(peer, (given.stripes, now + settings.origin_term));
                }
                Event::Leave { peer } => {
                    let held = told.remove(&peer).filter(|(_, until)| now < *until).map_or(0, |(held, _)| held.len());
                    prop_assert_eq!(origin.leave(peer, now), held as u64);
                }
                Event::Pass { time_ms } => now += Duration::from_millis(time_ms),
            }
            told.retain(|_, (_, until)| now < *until);
            let held: Vec<_> = told.values().flat_map(|(stripes, _)| stripes).collect();
            prop_assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
            for peer in 0..6 {
                // It is held until its holder is told otherwise, or its term is over.
                prop_assert_eq!(origin.is_held_by(peer, now), told.get(&peer).is_some_and(|(stripes, _)| !stripes.is_empty()));
            }
            prop_assert!(origin.askers.len() == origin.silent_at.len() && origin.askers.len() <= 6);
            let wanting = origin.askers.values().filter(|asker| asker.wants > 0).count();
            prop_assert_eq!(origin.wanted.values().sum::<usize>(), wanting);
        }
    }

    #[test]
    fn all_get_their_share_soon(
        stripes in 1_u8..9,
        wants in prop::collection::vec(1_u8..9, 1..12),
        orders in prop::collection::vec(prop::collection::vec(any::<u64>(), 12), 3),
    ) {
        let (mut origin, settings) = (Origin::default(), settings(stripes));
        let mut held = vec![0; wants.len()];
        for (round, order) in (0..).zip(&orders) {
            let mut peers: Vec<_> = (0..).zip(wants.iter().copied()).zip(order).collect();
            peers.sort_by_key(|(_, order)| *order);
            for ((peer, wants), _) in peers {
                let question = Question { peer, wants, has_moved: true, is_seeded: false };
                let place = usize::try_from(peer).unwrap();
                held[place] = origin.ask(question, at(round * 500), &settings).stripes.len();
            }
        }
        let wanted: Vec<usize> = wants.iter().map(|wants| (*wants).min(stripes).into()).collect();
        let all = wanted.iter().sum::<usize>().min(stripes.into());
        prop_assert_eq!(held.iter().sum::<usize>(), all, "{:?}", held);
        let share = (0..=all).find(|share| wanted.iter().map(|wanted| wanted.min(share)).sum::<usize>() >= all).unwrap();
        prop_assert!(held.iter().all(|held| *held <= share), "{held:?} by {share}");
    }

    #[test]
    fn what_the_dead_held_is_taken_over_within_a_term_and_a_half(count in 2_usize..150, first in 0_u64..3_000, seed: u64) {
        // All come back as they are asked to; who holds a stripe at some moment says no more.
        let (mut origin, settings, mut rng) = (Origin::default(), settings(4), StdRng::seed_from_u64(seed));
        let mut turns: BTreeSet<_> = (0..).take(count).map(|peer| (at(u64::from(peer)), peer)).collect();
        let died_at = at(first + 100);
        let (mut dead, mut held) = (BTreeSet::new(), BTreeMap::new());
        while let Some((now, peer)) = turns.pop_first() && now <= died_at + settings.origin_term * 8 / 5 {
            if dead.is_empty() && now >= died_at {
                dead = held.iter().filter(|(_, stripes)| **stripes > 0).map(|(peer, _)| *peer).collect();
                held.retain(|peer, _| !dead.contains(peer));
            }
            if !dead.contains(&peer) {
                origin.moved(now);
                let given = origin.ask(Question { peer, wants: 4, has_moved: true, is_seeded: false }, now, &settings);
                held.insert(peer, given.stripes.len());
                turns.insert((now + rng.random_range(given.again_in), peer));
            }
        }
        prop_assume!(dead.len() < count);
        prop_assert_eq!(held.values().sum::<usize>(), 4, "{:?}", held);
    }
}
