//! Fleets in the lab: real processes, each on a machine of its own, with links of known bandwidth between them.
//!
//! What is asserted holds on a busy machine, and does not hold where nodes don't share. In a soak run fleets are of the sizes that the
//! README tells of, and what was measured is printed.

use std::{sync::Arc, time::Duration};

use longshore_tests::{Image, Lab, LabPlan, Links, Measures, is_soak, scaled};

longshore_tests::once!(fleets_share_an_image);

const MIB: usize = 1 << 20;
/// How long a pull may take before it is a failure of its own, however busy the machine.
const LIMIT: Duration = Duration::from_secs(300);
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
    let nodes: usize = plan.zones.iter().sum();
    assert!(swarm.quantile(0.5) <= plain.quantile(0.5), "slower than without the swarm: {swarm}; {plain}");
    assert!(swarm.origin_copies < nodes as f64 / 2.0, "{swarm}");
    assert!(swarm.neighbour_share > 0.5, "{swarm}");
    // Else the links are not as they should be, and none of it says anything.
    assert!(plain.origin_copies > nodes as f64 * 0.95 && plain.quantile(1.0) > nodes as f64 * 0.7, "{plain}");
}

async fn fleets_share_an_image() {
    let machine_mbit = u32::try_from(scaled(100, 200)).expect("it is small");
    let equal = Links::equal(machine_mbit);
    let thin = Links { machine_mbit, border_mbit: machine_mbit / 2 };
    let fleets: &[(&[usize], Links)] =
        if is_soak() { &[(&[8], equal), (&[16], equal), (&[32], equal), (&[8, 8], thin)] } else { &[(&[4], equal)] };
    let image = image(700);
    eprintln!("{}", Measures::HEADER);
    for (zones, links) in fleets {
        with_and_without(LabPlan::new(zones, *links), &image).await;
    }
}
