use longshore_fleet::{Share, Strategy};
use proptest::prelude::{ProptestConfig, Strategy as _, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use uuid::Uuid;

use super::{PodId, RolloutPod, Stage, Step, StrategyKind, Wanted, count, step};

fn wanted(replicas: u32, revision: u64, max_unavailable: Share, max_surge: Share) -> Wanted {
    let strategy = Strategy { kind: StrategyKind::RollingUpdate, max_unavailable, max_surge };
    Wanted { replicas, revision, strategy }
}

/// Pods of these revisions and stages; their ids are their positions.
fn pods(stages: &[(u64, Stage)]) -> Vec<RolloutPod> {
    let pod =
        |(at, (revision, stage)): (usize, &(u64, Stage))| RolloutPod { id: id(at as u128), revision: *revision, stage: *stage };
    stages.iter().enumerate().map(pod).collect()
}

fn id(number: u128) -> PodId {
    PodId(Uuid::from_u128(number))
}

fn ids(numbers: &[u128]) -> Vec<PodId> {
    numbers.iter().map(|number| id(*number)).collect()
}

#[test]
fn all_are_made_at_first() {
    let first = step(&wanted(3, 1, Share::Percent(25), Share::Percent(25)), &[]);
    assert_eq!(first, Step { make: 3, end: Vec::new(), is_done: false });
    let last = step(&wanted(3, 1, Share::Count(0), Share::Count(1)), &pods(&[(1, Stage::Available); 3]));
    assert_eq!(last, Step { make: 0, end: Vec::new(), is_done: true });
    assert!(step(&wanted(0, 1, Share::Count(0), Share::Count(1)), &[]).is_done);
}

#[test]
fn new_ones_are_ready_before_old_ones_go() {
    let wanted = wanted(3, 2, Share::Count(0), Share::Count(1));
    let old = [(1, Stage::Available); 3];
    assert_eq!(step(&wanted, &pods(&old)), Step { make: 1, end: Vec::new(), is_done: false });
    let with = |stage| pods(&[&old[..], &[(2, stage)]].concat());
    for stage in [Stage::Unplaced, Stage::Unready, Stage::Ready] {
        assert_eq!(step(&wanted, &with(stage)), Step::default(), "{stage:?}");
    }
    assert_eq!(step(&wanted, &with(Stage::Available)).end, ids(&[2]), "the youngest of the old ones");
}

#[test]
fn old_ones_that_are_not_available_go_first() {
    let wanted = wanted(4, 2, Share::Count(1), Share::Count(0));
    let all = pods(&[(1, Stage::Available), (1, Stage::Unready), (1, Stage::Available), (1, Stage::Available)]);
    assert_eq!(step(&wanted, &all), Step { make: 0, end: ids(&[1]), is_done: false });
}

#[test]
fn a_moment_in_which_none_is_ready_does_not_end_them_all() {
    let wanted = wanted(10, 2, Share::Count(2), Share::Count(3));
    let ending = step(&wanted, &pods(&[(1, Stage::Unready); 10])).end;
    assert_eq!(ending.len(), 2);
}

#[test]
fn a_revision_that_never_gets_ready_leaves_the_old_one_running() {
    let wanted = wanted(4, 2, Share::Count(1), Share::Count(1));
    let all =
        pods(&[(1, Stage::Available), (1, Stage::Available), (1, Stage::Available), (2, Stage::Unready), (2, Stage::Unready)]);
    assert_eq!(step(&wanted, &all), Step::default());
}

#[test]
fn going_back_takes_up_what_is_still_there() {
    let wanted = wanted(3, 1, Share::Count(0), Share::Count(1));
    let all = pods(&[(1, Stage::Available), (1, Stage::Available), (2, Stage::Available), (2, Stage::Unready)]);
    assert_eq!(step(&wanted, &all), Step { make: 0, end: ids(&[3]), is_done: false });
}

#[test]
fn fewer_are_wanted() {
    let wanted = wanted(1, 1, Share::Percent(25), Share::Percent(25));
    let all = pods(&[(1, Stage::Available), (1, Stage::Unplaced), (1, Stage::Available)]);
    assert_eq!(step(&wanted, &all).end, ids(&[1, 2]));
}

#[test]
fn recreating_waits_until_all_are_gone() {
    let strategy = Strategy { kind: StrategyKind::Recreate, ..Strategy::default() };
    let wanted = Wanted { replicas: 2, revision: 2, strategy };
    assert_eq!(step(&wanted, &pods(&[(1, Stage::Available); 2])), Step { make: 0, end: ids(&[1, 0]), is_done: false });
    assert_eq!(step(&wanted, &pods(&[(1, Stage::Ending); 2])), Step::default());
    let one_hangs = pods(&[(2, Stage::Ending), (2, Stage::Available)]);
    assert_eq!(step(&wanted, &one_hangs).make, 1, "one of the wanted revision is not waited for");
    assert_eq!(step(&wanted, &[]).make, 2);
}

fn a_share() -> impl proptest::strategy::Strategy<Value = Share> {
    prop_oneof![(0..5_u32).prop_map(Share::Count), (0..=100_u32).prop_map(Share::Percent)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Pods become ready in any order, and some fail meanwhile; what holds of each step holds all the way, and the way ends.
    #[test]
    fn bounds_hold_on_the_whole_way(
        max_unavailable in a_share(),
        max_surge in a_share(),
        from in 0..12_u32,
        to in 0..12_u32,
        order in prop::collection::vec((0..64_usize, prop::bool::weighted(0.2)), 0..400),
    ) {
        let wanted = wanted(to, 2, max_unavailable, max_surge);
        let leeway = wanted.strategy.leeway(to);
        let mut all = pods(&vec![(1, Stage::Available); from as usize]);
        let mut made = 1_000;
        let mut failures = order.into_iter();
        for round in 0.. {
            prop_assert!(round < 2_000, "it ends: {all:?}");
            let step = step(&wanted, &all);
            if step.is_done {
                break;
            }
            let alive = count(all.iter().filter(|pod| pod.stage != Stage::Ending));
            prop_assert!(step.make == 0 || alive + step.make <= to + leeway.max_surge, "{step:?} of {all:?}");
            let available = |pods: &[RolloutPod]| count(pods.iter().filter(|pod| pod.stage == Stage::Available));
            let before = available(&all);
            for pod in &mut all {
                if step.end.contains(&pod.id) {
                    pod.stage = Stage::Ending;
                }
            }
            prop_assert!(available(&all) >= before.min(to.saturating_sub(leeway.max_unavailable)), "{step:?} of {all:?}");
            for _ in 0..step.make {
                made += 1;
                all.push(RolloutPod { id: id(made), revision: 2, stage: Stage::Unplaced });
            }
            all.retain(|pod| pod.stage != Stage::Ending);
            let next = failures.next();
            match next {
                Some((at, true)) if !all.is_empty() => {
                    let at = at % all.len();
                    all[at].stage = Stage::Unready;
                }
                Some((at, false)) if !all.is_empty() => {
                    let at = at % all.len();
                    all[at].stage = Stage::Available;
                }
                _ => all.iter_mut().filter(|pod| pod.revision == 2).for_each(|pod| pod.stage = Stage::Available),
            }
        }
        prop_assert_eq!(count(&all), to);
        prop_assert!(all.iter().all(|pod| pod.revision == 2));
    }

    #[test]
    fn asking_twice_says_the_same(is_rolling: bool, stages in prop::collection::vec((1..4_u64, 0..5_usize), 0..20), replicas in 0..10_u32) {
        let all = [Stage::Unplaced, Stage::Unready, Stage::Ready, Stage::Available, Stage::Ending];
        let some: Vec<_> = stages.into_iter().map(|(revision, stage)| (revision, all[stage])).collect();
        let mut wanted = wanted(replicas, 2, Share::Percent(25), Share::Percent(25));
        wanted.strategy.kind = if is_rolling { StrategyKind::RollingUpdate } else { StrategyKind::Recreate };
        let mut backwards = pods(&some);
        let forwards = step(&wanted, &backwards);
        backwards.reverse();
        prop_assert_eq!(step(&wanted, &backwards), forwards);
    }
}
