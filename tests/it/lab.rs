//! Fleets in the lab: real processes, each on a machine of its own, with links of known bandwidth between them.
//!
//! What is asserted holds on a busy machine, and does not hold where nodes don't share. In a soak run fleets are of the sizes that the
//! README tells of, and what was measured is printed.

use std::{sync::Arc, time::Duration};

use longshore_tests::{Image, Lab, LabPlan, Links, Measures, is_soak, scaled};

longshore_tests::once!(fleets_share_an_image);

const MIB: usize = 1 << 20;
/// How long a pull may take before it is a failure of its own, however busy the machine.
const LIMIT: Duration = Duration::from_secs(1200);
/// Four layers, as wide as a pull is at a runtime.
fn image(seed: u64) -> Arc<Image> {
    Arc::new(Image::random(seed, &[scaled(6, 32) * MIB; 4]))
}

/// A fleet and, beside it, the same nodes that don't share.
async fn with_and_without(plan: LabPlan<'_>, image: &Arc<Image>) {
    let swarm = Lab::measured(plan, image, LIMIT).await;
    eprintln!("{swarm}");
    let plain = Lab::measured(LabPlan { is_swarm: false, ..plan }, image, LIMIT).await;
    eprintln!("{plain}");
    assert!(swarm.quantile(0.5) <= plain.quantile(0.5), "slower than without the swarm: {swarm}; {plain}");
    // A copy a zone comes from outside at best, and all others from neighbours; on a busy machine half of that has to do.
    let (zones, nodes) = (plan.zones.len() as f64, plan.zones.iter().sum::<usize>() as f64);
    assert!(swarm.origin_copies < zones + (nodes - zones) / 2.0, "{swarm}");
    assert!(swarm.neighbour_share > (1.0 - zones / nodes) / 2.0, "{swarm}");
    // Else the links are not as they should be, and none of it says anything. Beyond a thin link only the nodes there share it.
    let most = plan.zones.iter().max().copied().unwrap_or_default();
    if let (Some(crossed), Some(each_for_itself)) = (swarm.border_copies, plain.border_copies) {
        assert!(crossed < each_for_itself * 0.8 && each_for_itself > most as f64 * 0.95, "{swarm}; {plain}");
    }
    assert!(plain.origin_copies > nodes * 0.95 && plain.quantile(1.0) > most as f64 * 0.7, "{plain}");
}

async fn fleets_share_an_image() {
    // With more nodes the links are thinner, since all of them share this machine's processors.
    let fleets: &[(&[usize], Links)] = if is_soak() {
        &[
            (&[4], Links::equal(200)),
            (&[8], Links::equal(200)),
            (&[16], Links::equal(100)),
            (&[32], Links::equal(50)),
            (&[8, 8], Links { machine_mbit: 100, border_mbit: 50 }),
        ]
    } else {
        &[(&[4], Links::equal(100))]
    };
    let image = image(700);
    eprintln!("{}", Measures::HEADER);
    for (zones, links) in fleets {
        with_and_without(LabPlan::new(zones, *links), &image).await;
    }
}
