//! What goes wrong in a fleet: machines that die, trackers and the registry that are gone, peers that send what is wrong, links that are
//! cut, clocks that jump. Every pull ends right or fails clearly within a limit, and no byte is ever wrong.

use std::{sync::Arc, time::Duration};

use longshore_tests::{Image, Lab, LabDaemon, LabPlan, Liar, Links, Pulled, digest_of, scaled};

longshore_tests::once!(
    peers_that_die_in_the_middle_are_done_without,
    trackers_that_die_in_the_middle_are_done_without,
    a_fleet_goes_on_without_the_registry_once_a_copy_is_out,
    a_peer_whose_disk_is_wrong_harms_nobody,
    a_peer_that_lies_is_shunned,
    a_peer_that_is_gone_without_a_word_is_passed_by,
    a_zone_that_is_cut_off_goes_on_when_it_is_back,
    clocks_that_jump_stop_nobody,
);

const MIB: usize = 1 << 20;
/// How long a pull may take before it is a failure of its own, however busy the machine.
const LIMIT: Duration = Duration::from_secs(120);
/// In Mbit/s: little enough that there is a middle in which things happen.
const SLOW: u32 = 40;
const FAST: u32 = 200;
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";
const ANNOUNCEMENTS: &str = "longshore_swarm_tracker_kept{what=\"announcements\"}";
const DAMAGED: &str = "longshore_edge_damaged_total";
const BANNED_FOR_LIES: &str = "longshore_swarm_banned_total{reason=\"wrong_piece\"}";

fn image(seed: u64) -> Arc<Image> {
    Arc::new(Image::random(seed, &[scaled(8, 32) * MIB; 2]))
}

fn bytes_of(image: &Image) -> usize {
    image.blobs.iter().map(bytes::Bytes::len).sum()
}

/// A lab whose registry has an image under the tag `v1`.
async fn lab_with(plan: LabPlan<'_>, seed: u64) -> (Lab, Arc<Image>) {
    let (lab, image) = (Lab::new(plan).await, image(seed));
    lab.push("v1", &image).await;
    (lab, image)
}

/// A node has the whole image, and its neighbours can know.
async fn seed(node: &LabDaemon, image: &Arc<Image>) {
    let pulled = Lab::ended(vec![node.pull("v1", image, LIMIT)]).await;
    assert!(pulled[0].is_right(), "{pulled:?}");
}

/// Waits until every tracker has heard of somebody who has the image.
async fn announced(lab: &Lab, image: &Image) {
    for at in lab.trackers() {
        lab.nodes[at].reaches(ANNOUNCEMENTS, image.blobs.len() as f64).await;
    }
}

fn assert_right<'a>(pulled: impl IntoIterator<Item = &'a Pulled>) {
    let wrong: Vec<&Pulled> = pulled.into_iter().filter(|pulled| !pulled.is_right()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Kills some of the nodes once each has a quarter of an image; gives back what came of the others' pulls.
async fn others_of(lab: &mut Lab, image: &Arc<Image>, victims: &[usize]) -> Vec<Pulled> {
    let pulls = lab.pull_everywhere("v1", image, LIMIT);
    for at in victims {
        lab.nodes[*at].reaches(RECEIVED, bytes_of(image) as f64 / 4.0).await;
    }
    for at in victims {
        lab.nodes[*at].kill9();
    }
    let pulled = Lab::ended(pulls).await;
    for at in victims {
        assert!(!pulled[*at].is_right(), "it was killed in the middle: {:?}", pulled[*at]);
    }
    pulled.into_iter().enumerate().filter(|(at, _)| !victims.contains(at)).map(|(_, pulled)| pulled).collect()
}

async fn peers_that_die_in_the_middle_are_done_without() {
    let nodes = scaled(5, 16);
    let (mut lab, image) = lab_with(LabPlan::new(&[nodes], Links::equal(SLOW)), 710).await;
    let trackers = lab.trackers();
    let victims: Vec<usize> = (0..nodes).filter(|at| !trackers.contains(at)).take(nodes / 3 + 1).collect();
    assert_right(&others_of(&mut lab, &image, &victims).await);
    // They begin again with the pieces that they had.
    for at in victims {
        lab.nodes[at].start_again().await;
        seed(&lab.nodes[at], &image).await;
        let received = lab.nodes[at].metric(RECEIVED).await;
        assert!(received < bytes_of(&image) as f64, "{received} bytes came to one that had a part of them");
    }
}

async fn trackers_that_die_in_the_middle_are_done_without() {
    let nodes = scaled(5, 16);
    let (mut lab, image) = lab_with(LabPlan::new(&[nodes], Links::equal(SLOW)), 711).await;
    let trackers = lab.trackers();
    assert_right(&others_of(&mut lab, &image, &trackers).await);
    let (all, from_origin) = (lab.metric(RECEIVED).await, lab.metric(FROM_ORIGIN).await);
    assert!(from_origin < all * 0.8, "neighbours that know each other go on: {from_origin} of {all} bytes from the registry");
}

async fn a_fleet_goes_on_without_the_registry_once_a_copy_is_out() {
    let (mut lab, image) = lab_with(LabPlan::new(&[scaled(4, 12)], Links::equal(FAST)), 712).await;
    seed(&lab.nodes[1], &image).await;
    for node in &lab.nodes {
        node.learn("v1", &image).await;
    }
    lab.registry.kill9();
    assert_right(&Lab::ended(lab.pull_everywhere("v1", &image, LIMIT)).await);
    // What nobody has fails, and soon.
    let other = Arc::new(Image::random(713, &[MIB]));
    let failed = Lab::ended(vec![lab.nodes[0].pull("v2", &other, Duration::from_secs(30))]).await;
    assert!(failed[0].parts[0].status.is_some_and(|status| status >= 400), "{failed:?}");
}

async fn a_peer_whose_disk_is_wrong_harms_nobody() {
    let (mut lab, image) = lab_with(LabPlan::new(&[scaled(3, 8)], Links::equal(FAST)), 714).await;
    let at = 2;
    seed(&lab.nodes[at], &image).await;
    // What it has in memory is right, so it begins anew.
    lab.nodes[at].stop().await;
    for blob in &image.blobs[1..] {
        lab.nodes[at].flip_pieces(&digest_of(blob), blob.len() as u64);
    }
    lab.nodes[at].start_again().await;
    announced(&lab, &image).await;
    let others = lab.nodes.iter().enumerate().filter(|(other, _)| *other != at);
    let pulls = others.map(|(_, node)| node.pull("v1", &image, LIMIT)).collect();
    assert_right(&Lab::ended(pulls).await);
    let first = &lab.nodes[at];
    assert!(first.metric(DAMAGED).await > 0.0, "it sees what became of its pieces before it sends them");
    assert_eq!(lab.metric(BANNED_FOR_LIES).await, 0.0, "and so nobody had to find out");
    assert_right(&Lab::ended(vec![first.pull("v1", &image, LIMIT)]).await);
}

async fn a_peer_that_lies_is_shunned() {
    let (mut lab, image) = lab_with(LabPlan::new(&[scaled(3, 8)], Links::equal(FAST)), 715).await;
    let liar = Liar::start(&mut lab, 0, &image).await;
    // Where it is the only one that has anything, everybody asks it.
    announced(&lab, &image).await;
    assert_right(&Lab::ended(lab.pull_everywhere("v1", &image, LIMIT)).await);
    assert!(liar.lies() > 0, "somebody has asked it");
    assert!(lab.metric(BANNED_FOR_LIES).await > 0.0, "who has asked it has shunned it");
}

async fn a_peer_that_is_gone_without_a_word_is_passed_by() {
    let (mut lab, image) = lab_with(LabPlan::new(&[scaled(4, 8)], Links::equal(FAST)), 716).await;
    let (gone, others) = (1, [0, 2, 3]);
    seed(&lab.nodes[gone], &image).await;
    announced(&lab, &image).await;
    // Nobody hears of its end: not the trackers that have told of it, nor who is connected to it.
    lab.network.plug(&lab.nodes[gone].machine, false).await;
    lab.nodes[gone].kill9();
    let pulls = others.map(|at| lab.nodes[at].pull("v1", &image, LIMIT));
    let pulled = Lab::ended(pulls.into()).await;
    assert_right(&pulled);
    // It takes about a second by bandwidth; each dial of one that is gone would take as long as the kernel goes on trying, two minutes.
    let longest = pulled.iter().map(|pulled| pulled.took).max().expect("there are some");
    assert!(longest < Duration::from_secs(30), "{longest:?}");
}

async fn a_zone_that_is_cut_off_goes_on_when_it_is_back() {
    let (nodes, cut) = (scaled(2, 6), Duration::from_secs(scaled(3, 8) as u64));
    let (lab, image) = lab_with(LabPlan::new(&[nodes, nodes], Links::equal(SLOW)), 717).await;
    let pulls = lab.pull_everywhere("v1", &image, LIMIT);
    lab.nodes[nodes].reaches(RECEIVED, bytes_of(&image) as f64 / 8.0).await;
    lab.network.join(1, false).await;
    tokio::time::sleep(cut).await;
    lab.network.join(1, true).await;
    let pulled = Lab::ended(pulls).await;
    assert_right(&pulled[..nodes]);
    // Who waited too long was told so; whoever asks again has it.
    let failed: Vec<usize> = (nodes..2 * nodes).filter(|at| !pulled[*at].is_right()).collect();
    let again = failed.iter().map(|at| lab.nodes[*at].pull("v1", &image, LIMIT));
    assert_right(&Lab::ended(again.collect()).await);
}

/// Tokens are of one hour, and each node judges them by its own clock.
async fn clocks_that_jump_stop_nobody() {
    let zones = [scaled(4, 8)];
    let plan = LabPlan { has_accounts: true, has_clocks: true, ..LabPlan::new(&zones, Links::equal(SLOW)) };
    let lab = Lab::new(plan).await;
    let (first, second) = (image(718), image(719));
    let administrator = lab.registry.client().as_basic("admin", longshore_tests::Registry::ADMIN_PASSWORD);
    for (tag, image) in [("v1", &first), ("v2", &second)] {
        let (client, image) = (administrator.clone(), Arc::clone(image));
        lab.registry.machine.inside(async move { client.push_image(Lab::REPOSITORY, tag, &image).await }).await;
    }
    assert_right(&Lab::ended(lab.pull_everywhere("v1", &first, LIMIT)).await);
    // Connected, with tokens that were shown and rights that were granted: now an hour passes at one, and goes back at another.
    let pulls = lab.pull_everywhere("v2", &second, LIMIT);
    lab.nodes[2].reaches(RECEIVED, (bytes_of(&first) + bytes_of(&second) / 8) as f64).await;
    lab.nodes[1].clock().set_ahead(3600 + 60);
    lab.nodes[2].clock().set_ahead(-3600 - 60);
    assert_right(&Lab::ended(pulls).await);
    let (here, ahead) = (lab.nodes[0].seconds_ahead().await, lab.nodes[1].seconds_ahead().await);
    assert!(here.abs() < 120 && (ahead - 3660).abs() < 120, "the clocks are {here} and {ahead} s ahead");
    // A date that is told is renewed when its second is over, which takes an hour where the clock went back.
    let behind = lab.nodes[2].seconds_ahead().await;
    assert!(behind < -1, "the clock is {behind} s ahead");
    // Those who have jumped begin with something that they know nothing of yet.
    let third = image(720);
    let (client, image) = (administrator, Arc::clone(&third));
    lab.registry.machine.inside(async move { client.push_image(Lab::REPOSITORY, "v3", &image).await }).await;
    assert_right(&Lab::ended(lab.pull_everywhere("v3", &third, LIMIT)).await);
}
