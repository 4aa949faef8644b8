use super::*;

#[test]
fn it_runs() {
    for nodes in [4, 8, 16, 100] {
        let mut world = World::new(Shape::of(Scenario::Flash, nodes, 1));
        let start = std::time::Instant::now();
        world.run();
        let figures = world.figures();
        println!("{nodes}: {:.2?} p50 {:?} max {:?} copies {:.2} share {:.3} waste {:.3} unfinished {} {:?}", start.elapsed(), figures.percentile(50), figures.most(), figures.copies_per_zone, figures.neighbour_share, figures.wasted_share, figures.unfinished, figures.counts);
    }
}
