//! What any run owes: the same from one seed, all done, nothing from nowhere.

use longshore_oci::piece::PIECE_BYTES;

use super::{
    shape::{Kind, takes},
    world::place,
    *,
};

fn ran(shape: Shape) -> World {
    let mut world = World::new(shape);
    world.run();
    world
}

fn small(scenario: Scenario, nodes: u32, zones: u32) -> Shape {
    Shape { layers: 2, pieces: 16, ..Shape::of(scenario, nodes, zones) }
}

/// Bytes are neither made nor lost, whoever is done has all, and nobody is done sooner than its links allow.
fn assert_sound(world: &World) {
    let (figures, counts) = (world.figures(), world.counts);
    assert_eq!(figures.unfinished, 0, "{figures:?}");
    let new = counts.near + counts.far + counts.origin_new;
    let image = world.shape.image_bytes();
    let pieces = |number: u32| (0..world.shape.layers).map(|topic| world.here(number, topic)).sum::<u32>();
    let here = (0..world.shape.nodes).map(|number| u64::from(pieces(number)) * PIECE_BYTES).sum::<u64>();
    assert_eq!(new, here, "each new piece is here once");
    assert!(counts.received >= new && counts.of_origin >= counts.origin_new && counts.origin_new >= image);
    for number in 0..world.shape.nodes {
        let node = &world.nodes[place(number)];
        if let Some(done) = node.done {
            assert!(u64::from(pieces(number)) * PIECE_BYTES == image);
            assert!(done - node.begun >= takes(image, world.rates[place(number)].down_bits), "node {number}");
        }
    }
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let world = ran(Shape { seed, ..small(Scenario::Heavy, 12, 2) });
        assert_sound(&world);
        (world.figures().ratios, world.counts)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn alone_a_node_is_about_as_fast_as_its_link() {
    let world = ran(small(Scenario::Flash, 1, 1));
    assert_sound(&world);
    let most = world.figures().most().unwrap();
    assert!((1.0..1.2).contains(&most), "{most}");
    assert_eq!(world.counts.near + world.counts.far, 0);
}

#[test]
fn neighbours_bring_most_of_it() {
    let world = ran(small(Scenario::Flash, 16, 1));
    assert_sound(&world);
    let figures = world.figures();
    // Alone each would have taken 16 times the bound, and 16 copies.
    assert!(figures.most().unwrap() < 4.0 && figures.copies_per_zone < 3.0, "{figures:?}");
}

#[test]
fn whatever_befalls_it_all_who_stay_have_all() {
    let all =
        [Scenario::Rolling, Scenario::Churn, Scenario::FreeRiders, Scenario::Liars, Scenario::DeadLeader, Scenario::NoTrackers];
    for scenario in all {
        let world = ran(small(scenario, 20, 2));
        assert_sound(&world);
        let of = |kind: Kind| world.nodes.iter().filter(|node| node.kind == kind).count();
        let gone = world.nodes.iter().filter(|node| !node.is_alive).count();
        let expected = match scenario {
            Scenario::Churn => (1, 0, 0),
            Scenario::FreeRiders => (0, 2, 0),
            Scenario::Liars => (0, 0, 1),
            Scenario::DeadLeader => (2, 0, 0),
            _ => (0, 0, 0),
        };
        assert_eq!((gone, of(Kind::FreeRider), of(Kind::Liar)), expected, "{scenario:?}");
        assert_eq!(world.counts.wrong_pieces > 0, scenario == Scenario::Liars, "{scenario:?}");
        assert_eq!(world.counts.wrong_pieces, world.counts.bans);
        assert_eq!(world.trackers.iter().all(Option::is_none), scenario == Scenario::NoTrackers);
    }
}

#[test]
fn charts_are_drawn_of_whatever_there_is() {
    let empty = chart::Chart { title: String::new(), is_logarithmic: true, lines: Vec::new() };
    assert!(chart::draw(&empty).ends_with("</svg>\n"));
    let values: Vec<f64> = (0..5000).map(f64::from).collect();
    let points = chart::shares(&values);
    assert!(points.len() <= 402 && points.last() == Some(&(4999.0, 1.0)));
    let lines = vec![chart::Line { name: "one".to_owned(), points }];
    let drawn = chart::draw(&chart::Chart { title: "all".to_owned(), is_logarithmic: false, lines });
    assert!(drawn.contains("polyline") && !drawn.contains("NaN"));
}
