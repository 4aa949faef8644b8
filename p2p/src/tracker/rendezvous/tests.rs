use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::tracker::tests::{peer, topic};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("tracker-{number}.example:5400")).collect()
}

#[test]
fn each_tracker_has_its_share_and_who_goes_moves_its_own_alone() {
    let names = names(10);
    let rest: Vec<_> = names.iter().filter(|name| **name != names[3]).cloned().collect();
    let mut shares = [BTreeMap::<&String, usize>::new(), BTreeMap::new()];
    let mut moved = 0;
    for topic in (0..10_000).map(topic) {
        let mut expected = trackers_of(&names, &topic, 3);
        for place in 0..2 {
            *shares[place].entry(expected[place]).or_default() += 1;
        }
        moved += usize::from(expected[..2].contains(&&names[3]));
        expected.retain(|name| **name != names[3]);
        expected.truncate(2);
        assert_eq!(trackers_of(&rest, &topic, 2), expected);
    }
    // 1,000 each, give or take five standard deviations of a fair draw.
    assert!(
        shares.iter().all(|shares| shares.len() == 10 && shares.values().all(|share| share.abs_diff(1_000) < 150)),
        "{shares:?}"
    );
    assert!(moved.abs_diff(2_000) < 200, "{moved} of 10,000 moved");
}

#[test]
fn the_order_is_this_one() {
    // Nodes of two versions meet in a fleet: were this to change, they would ask different trackers.
    let names = names(5);
    let order = |number| {
        let ranked = trackers_of(&names, &topic(number), 5);
        ranked.iter().map(|name| names.iter().position(|other| other == *name).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!([order(0), order(1)], ORDERS);
    let holders = |number| {
        let members: Vec<_> = (0..5).map(peer).collect();
        members.iter().map(|own| fallback(&topic(number), &members, own, 4)).collect::<Vec<_>>()
    };
    assert_eq!([holders(0), holders(1)], HOLDERS);
}

const ORDERS: [[usize; 5]; 2] = [[0, 1, 3, 4, 2], [0, 4, 3, 1, 2]];
const HOLDERS: [[&[u8]; 5]; 2] = [[&[0, 1], &[2], &[], &[3], &[]], [&[2], &[1], &[], &[0, 3], &[]]];

#[test]
fn the_stripes_are_spread_over_the_members() {
    let members: Vec<_> = (0..8).map(peer).collect();
    let mut shares = [0_usize; 8];
    for topic in (0..2_000).map(topic) {
        for (share, own) in shares.iter_mut().zip(&members) {
            *share += fallback(&topic, &members, own, 4).len();
        }
    }
    assert_eq!(shares.iter().sum::<usize>(), 8_000);
    assert!(shares.iter().all(|share| share.abs_diff(1_000) < 150), "{shares:?}");
    assert_eq!(fallback(&topic(0), &[], &members[0], 4), [0, 1, 2, 3]);
    assert!(fallback(&topic(0), &members, &members[0], 0).is_empty());
}

proptest! {
    #[test]
    fn all_see_the_same_trackers(number: u64, shuffled in Just(names(8)).prop_shuffle(), count in 0_usize..10) {
        let (ranked, ordered) = (trackers_of(&shuffled, &topic(number), count), names(8));
        prop_assert_eq!(&ranked, &trackers_of(&ordered, &topic(number), count));
        prop_assert_eq!(ranked.len(), count.min(8));
        let twice: Vec<_> = shuffled.iter().chain(&shuffled).collect();
        prop_assert_eq!(trackers_of(twice.iter().copied(), &topic(number), count), ranked);
    }

    #[test]
    fn each_stripe_is_one_members_and_only_the_deads_move(number: u64, dead in 0_u64..9, count in 1_u64..9, stripes in 0_u8..9) {
        let members: Vec<_> = (0..count).map(peer).collect();
        let alive: Vec<_> = members.iter().filter(|member| **member != peer(dead)).copied().collect();
        let holder_of = |members: &[PeerId], stripe| {
            let mut holders = members.iter().filter(|own| fallback(&topic(number), members, own, stripes).contains(&stripe));
            let holder = holders.next().copied();
            (holder, holders.next().copied())
        };
        for stripe in 0..stripes {
            let (before, second) = holder_of(&members, stripe);
            prop_assert!(before.is_some() && second.is_none());
            if !alive.is_empty() {
                let (after, second) = holder_of(&alive, stripe);
                prop_assert!(after.is_some() && second.is_none());
                prop_assert!(before == Some(peer(dead)) || before == after);
            }
        }
        // Whether a node finds itself in the list makes no difference.
        let others: Vec<_> = members.iter().skip(1).copied().collect();
        let of_all = fallback(&topic(number), &members, &members[0], stripes);
        prop_assert_eq!(fallback(&topic(number), &others, &members[0], stripes), of_all);
    }
}
