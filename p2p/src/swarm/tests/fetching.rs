//! Downloads that are held back, that are alone with a bad origin, or that are two of the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

use super::bed::{Bed, Blob, Spec, soon};
use crate::swarm::{Arrivals, FetchError, SwarmSettings};

/// How many pieces come, to the end.
async fn count(mut arrivals: Arrivals) -> Result<u32, FetchError> {
    let mut came = 0;
    while let Some(arrival) = arrivals.next().await {
        arrival?;
        came += 1;
    }
    Ok(came)
}

/// What waits to be taken counts as what is on its way does, and when it is taken at last the rest comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_taker_holds_no_more_memory_than_a_quick_one_and_gets_all() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(60, 50);
    let node = bed.node(Spec { memory_pieces: 1000, tune: |settings| settings.in_flight = 8, ..Spec::default() }).await;
    let arrivals = node.begin(&blob);
    soon(async {
        while node.held_memory() < 8 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // As long as others take for all of it.
    sleep(Duration::from_millis(500)).await;
    assert_eq!(node.most_memory(), 8);
    let taken = Instant::now();
    assert_eq!(soon(count(arrivals)).await.unwrap(), 60);
    assert!(taken.elapsed() < Duration::from_secs(3), "{:?}", taken.elapsed());
}

/// Who has too many arrivals waiting goes on when there are places again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_of_arrivals_holds_a_download_up_and_no_longer() {
    let bed = Bed::new().await;
    let blob = Blob::new(300, 51);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    let tune = |settings: &mut SwarmSettings| settings.in_flight = 1000;
    let node = bed.node(Spec { memory_pieces: 1000, has_no_origin: true, tune, ..Spec::default() }).await;
    let arrivals = node.begin(&blob);
    soon(async {
        while node.held_memory() < 256 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.most_memory(), 256);
    assert_eq!(soon(count(arrivals)).await.unwrap(), 300);
}

/// An origin that says nothing at all is one that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_origin_fails_a_download() {
    let bed = Bed::without_tracker().await;
    let tune = |settings: &mut SwarmSettings| settings.download.origin_patience = Duration::from_millis(300);
    let node = bed.node(Spec { origin_hangs: true, tune, ..Spec::default() }).await;
    let error = soon(node.get(&Blob::new(3, 52))).await.unwrap_err();
    assert!(matches!(&error, FetchError::Origin(cause) if cause.to_string().contains("brings nothing")), "{error}");
}

/// One request that breaks off is not the end, not even the first; it is asked again, and as long as that brings something again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_breaks_off_is_asked_again() {
    let bed = Bed::without_tracker().await;
    let node = bed.node(Spec { origin_breaks: 4, ..Spec::default() }).await;
    assert_eq!(soon(node.get(&Blob::new(12, 53))).await.unwrap().from_origin, 12);
}

/// What this node shows is found out anew when it was refused, as where there was nothing to show at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_found_out_anew() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(6, 54);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    let patient = |settings: &mut SwarmSettings| settings.give_up_after = Duration::from_secs(30);
    let node = bed.node(Spec { joins: vec![seed.control()], has_no_origin: true, tune: patient, ..Spec::default() }).await;
    bed.law.is_down.store(true, Ordering::Relaxed);
    let getting = async {
        sleep(Duration::from_secs(1)).await;
        bed.law.is_down.store(false, Ordering::Relaxed);
    };
    let (outcome, ()) = soon(join(node.get(&blob), getting)).await;
    assert_eq!(outcome.unwrap().from_peers, 6);
}

/// Where a peer has it that can't be reached now, a failing origin is not the end at once, but soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_let_be_for_a_time_is_waited_for() {
    let bed = Bed::new().await;
    let blob = Blob::new(3, 55);
    bed.tells_of_nobody(&blob).await;
    let node = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
    let begun = Instant::now();
    let outcome = soon(node.get(&blob)).await;
    let took = begun.elapsed();
    assert!(matches!(outcome, Err(FetchError::Origin(_))));
    assert!((Duration::from_secs(5)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

/// Where it refuses who asks, others who may ask are not kept waiting for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_refuses_is_not_hoped_for() {
    let bed = Bed::new().await;
    let blob = Blob::new(1, 57);
    bed.tells_of_nobody(&blob).await;
    let tune = |settings: &mut SwarmSettings| {
        (settings.give_up_after, settings.give_up_refused_after) = (Duration::from_secs(30), Duration::from_secs(3));
    };
    let node = bed.node(Spec { origin_refuses: true, tune, ..Spec::default() }).await;
    let begun = Instant::now();
    assert!(matches!(soon(node.get(&blob)).await, Err(FetchError::Origin(_))));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(node.origin_requests(), 1, "it was asked again, of no use");
    // What a neighbour has comes all the same.
    let held = Blob::new(6, 58);
    let seed = bed.node(Spec { holds: Some(&held), ..Spec::default() }).await;
    seed.swarm.share(held.topic()).await;
    bed.tracks(&held, &seed).await;
    assert_eq!(soon(node.get(&held)).await.unwrap().from_peers, 6);
}

/// Of two downloads of one blob neither keeps the other from its peers for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_downloads_of_one_blob_both_get_it() {
    let bed = Bed::new().await;
    let blob = Blob::new(8, 56);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    let tune = |settings: &mut SwarmSettings| {
        (settings.refused_for, settings.give_up_after) = (Duration::from_secs(40), Duration::from_mins(2));
    };
    let node = bed.node(Spec { has_no_origin: true, tune, ..Spec::default() }).await;
    let begun = Instant::now();
    let both = join(count(node.begin(&blob)), count(node.begin(&blob)));
    let (one, other) = soon(both).await;
    assert_eq!((one.unwrap(), other.unwrap()), (8, 8));
    assert!(begun.elapsed() < Duration::from_secs(40), "the peer refused what it has open already");
}

/// However much it is told to do, it gets on with what it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_orders_holds_up_no_download() {
    let bed = Bed::without_tracker().await;
    let (blob, shared) = (Blob::new(12, 59), Blob::new(1, 60));
    let node = bed.node(Spec { holds: Some(&shared), ..Spec::default() }).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..3)
        .map(|_| {
            let (swarm, topic, is_over) = (node.swarm.clone(), shared.topic(), is_over.clone());
            tokio::task::spawn_blocking(move || {
                let mut heard = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    heard += u64::from(swarm.try_share(topic.clone()));
                }
                heard
            })
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_origin, 12);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    is_over.store(true, Ordering::Relaxed);
    // On a busy machine one of them may have found the queue full each time.
    let heard: u64 = join_all(floods).await.into_iter().map(Result::unwrap).sum();
    assert!(heard > 0, "it was no flood");
}

/// What is to be decided anew is so at once, and not when it is looked around again: the lease that it gives itself is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stirred_does_not_wait_for_a_tick() {
    let bed = Bed::without_tracker().await;
    let node = bed.node(Spec::default()).await;
    let mut quickest = Duration::MAX;
    // The machine may be busy with others for some of them.
    for seed in 70..78 {
        let begun = Instant::now();
        assert_eq!(soon(node.get(&Blob::new(1, seed))).await.unwrap().from_origin, 1);
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}
