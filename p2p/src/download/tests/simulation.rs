//! A small swarm of this code alone: nodes on equal links, one origin, messages that take no time, time in ticks.

mod swarm;

use self::swarm::{Figures, LINK, Shape, Swarm};
use super::*;

fn ran(shape: &Shape) -> Swarm {
    let mut swarm = Swarm::new(shape);
    swarm.run(Duration::from_mins(5));
    swarm
}

#[test]
fn alone_a_node_is_as_fast_as_its_link() {
    for reads in [false, true] {
        let swarm = ran(&Shape { reads, ..Shape::of(1) });
        assert_eq!(swarm.figures(), Figures { time: 100, origin: 100, ..Figures::default() });
    }
    // And where no tracker answers, but for the patience.
    let untold = ran(&Shape { holders: 0, ..Shape::of(1) }).figures();
    assert!(untold.time <= 130 && untold.origin == 100, "{untold:?}");
}

#[test]
fn a_zone_costs_the_origin_one_copy() {
    for (nodes, most) in [(2, 110), (4, 115), (16, 130)] {
        for reads in [false, true] {
            let figures = ran(&Shape { reads, ..Shape::of(nodes) }).figures();
            assert!(figures.time <= most && figures.origin <= 110 && figures.wasted <= 3, "{nodes}: {figures:?}");
        }
    }
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let swarm = ran(&Shape { seed, pieces: 32, ..Shape::of(8) });
        (swarm.figures(), swarm.nodes.iter().map(|node| node.done_at).collect::<Vec<_>>())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_dead_leaseholder_is_stood_in_for() {
    let mut swarm = Swarm::new(&Shape::of(8));
    swarm.run(Duration::from_secs(1));
    swarm.kill(0);
    swarm.run(Duration::from_mins(1));
    let figures = swarm.figures();
    assert!(figures.time <= 180 && figures.origin <= 120, "{figures:?}");
}

#[test]
fn without_trackers_few_ask_the_origin() {
    let figures = ran(&Shape { holders: 0, ..Shape::of(16) }).figures();
    assert!(figures.time <= 300 && figures.origin <= 140, "{figures:?}");
}

#[test]
fn across_a_thin_border_goes_little_twice() {
    // Only the first zone may ask the origin; the second has all of it from across the border.
    let mut swarm = Swarm::new(&Shape { zones: vec![4, 4], border: LINK / 2, ..Shape::of(0) });
    for node in 4..8 {
        let until = ms(3_600_000);
        let stripes = [u8::try_from(node - 4).unwrap()].into_iter().collect();
        swarm.nodes[node].download.set_lease(Lease { stripes, of: 4, until }, ms(0));
        swarm.no_origin_for.insert(node);
    }
    swarm.run(Duration::from_mins(5));
    let figures = swarm.figures();
    assert!(figures.time <= 230 && figures.origin <= 110 && figures.across <= 110, "{figures:?}");
}

#[test]
fn a_slow_origin_is_not_stormed() {
    // Of 16 that could each ask for a copy.
    for (holders, most) in [(4, 350), (0, 400)] {
        let mut swarm = Swarm::new(&Shape { holders, pieces: 8, origin: LINK / 32, ..Shape::of(16) });
        swarm.run(Duration::from_mins(5));
        let figures = swarm.figures();
        assert!(figures.origin <= most, "{holders}: {figures:?}");
    }
}
