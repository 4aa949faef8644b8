use longshore_fleet::{Bytes, Class, Cpu, PodId};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::{Cost, DemandIndex, Hopes, Millis, Queue, QueueSettings, Refusal, Unit, Verdict};

const SETTINGS: QueueSettings = QueueSettings {
    priority_step_ms: 1_000,
    batch_delay_ms: 10_000,
    first_pause_ms: 100,
    longest_pause_ms: 1_000,
    look_again_ms: 100_000,
};

fn unit(number: u128, demand: u32, class: Class, priority: i32, since: Millis) -> Unit {
    Unit { pods: vec![PodId(Uuid::from_u128(number))], demand: DemandIndex(demand), class, priority, since }
}

fn online(number: u128, demand: u32, since: Millis) -> Unit {
    unit(number, demand, Class::Online, 0, since)
}

fn numbers(units: &[Unit]) -> Vec<u128> {
    units.iter().map(|unit| unit.pods[0].0.as_u128()).collect()
}

fn pop_all(queue: &mut Queue, now: Millis) -> Vec<u128> {
    let mut all = Vec::new();
    loop {
        let next = queue.pop(now, 100);
        if next.is_empty() {
            return all;
        }
        all.extend(numbers(&next));
    }
}

#[test]
fn online_goes_before_batch_and_priority_before_age_but_nothing_starves() {
    let mut queue = Queue::new(SETTINGS);
    queue.push(unit(1, 1, Class::Batch, 0, 0));
    queue.push(unit(2, 2, Class::Online, 0, 500));
    queue.push(unit(3, 3, Class::Online, 1, 600));
    queue.push(unit(4, 4, Class::Online, 0, 10_001));
    queue.push(unit(5, 5, Class::Batch, 11, 700));
    assert_eq!(queue.len(), 5);
    assert_eq!(pop_all(&mut queue, 20_000), [3, 5, 2, 1, 4]);
    assert!(queue.is_empty());
}

#[test]
fn those_alike_are_taken_together_up_to_the_next_other() {
    let mut queue = Queue::new(SETTINGS);
    for number in [1, 2, 3, 5] {
        queue.push(online(number, 7, i64::try_from(number).unwrap()));
    }
    queue.push(online(4, 8, 4));
    assert_eq!(numbers(&queue.pop(10, 2)), [1, 2]);
    assert_eq!(numbers(&queue.pop(10, 100)), [3]);
    assert_eq!(numbers(&queue.pop(10, 100)), [4]);
    assert_eq!(numbers(&queue.pop(10, 100)), [5]);
}

#[test]
fn a_line_is_shut_until_what_it_hopes_for_happens() {
    let mut queue = Queue::new(SETTINGS);
    queue.push(online(1, 7, 0));
    queue.push(online(2, 7, 1));
    queue.push(online(3, 8, 2));
    let first = queue.pop(10, 1).remove(0);
    queue.shut(first, Hopes::ROOM, 10);
    assert_eq!(numbers(&queue.pop(10, 100)), [3], "those like it wait with it");
    queue.push(online(4, 7, 3));
    queue.happened(Hopes::COMPANY);
    assert_eq!((queue.pop(1_000, 100), queue.next_at()), (Vec::new(), Some(100_010)), "or a long time has passed");
    assert_eq!(queue.hopes(PodId(Uuid::from_u128(4))), Some(Hopes::ROOM));
    queue.happened(Hopes::ROOM);
    assert_eq!((queue.pop(109, 100), queue.next_at()), (Vec::new(), Some(110)));
    assert_eq!(numbers(&queue.pop(110, 100)), [1, 2, 4]);
}

#[test]
fn attempts_in_vain_are_made_ever_less_often() {
    let mut queue = Queue::new(SETTINGS);
    queue.push(online(1, 7, 0));
    let mut pauses = Vec::new();
    let mut now = 0;
    for _ in 0..6 {
        let unit = queue.pop(now, 1).remove(0);
        queue.shut(unit, Hopes::ROOM, now);
        queue.happened(Hopes::ROOM);
        let at = queue.next_at().unwrap();
        pauses.push(at - now);
        now = at;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
    let unit = queue.pop(now, 1).remove(0);
    queue.placed(&unit);
    queue.push(online(2, 7, now));
    let unit = queue.pop(now, 1).remove(0);
    queue.shut(unit, Hopes::ROOM, now);
    queue.happened(Hopes::ROOM);
    assert_eq!(queue.next_at(), Some(now + 100));
}

#[test]
fn a_gang_is_one() {
    let mut queue = Queue::new(SETTINGS);
    let gang = Unit { pods: (1..=3).map(|number| PodId(Uuid::from_u128(number))).collect(), ..online(1, 7, 0) };
    queue.push(gang.clone());
    queue.push(online(1, 9, 0));
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.remove(PodId(Uuid::from_u128(2))), Some(gang.clone()));
    assert!(queue.is_empty() && queue.pop(0, 1).is_empty());
    queue.push(online(2, 7, 0));
    queue.push(gang);
    assert_eq!(queue.len(), 1, "one of it waits already");
    assert_eq!(numbers(&queue.pop(0, 10)), [2]);
}

#[test]
fn a_gang_that_fits_nowhere_does_not_hold_up_one_that_is_alone() {
    let mut queue = Queue::new(SETTINGS);
    queue.push(Unit { pods: (1..=3).map(|number| PodId(Uuid::from_u128(number))).collect(), ..online(1, 7, 0) });
    queue.push(online(4, 7, 1));
    let gang = queue.pop(10, 1).remove(0);
    queue.shut(gang, Hopes::among(&[Verdict::Fits(Cost::default())]), 10);
    assert_eq!(numbers(&queue.pop(10, 10)), [4]);
    queue.happened(Hopes::ROOM);
    assert_eq!(numbers(&queue.pop(1_000, 10)), [1], "each fits, but not all of them: room helps");
}

#[test]
fn lines_follow_their_demands_to_other_positions() {
    let mut queue = Queue::new(SETTINGS);
    queue.push(online(1, 7, 0));
    queue.push(online(2, 8, 1));
    let shut = queue.pop(0, 1).remove(0);
    queue.shut(shut, Hopes::ROOM, 0);
    queue.renamed(&std::collections::HashMap::from([(DemandIndex(7), DemandIndex(8)), (DemandIndex(8), DemandIndex(7))]));
    assert_eq!(queue.pop(0, 10), [online(2, 7, 1)]);
    queue.happened(Hopes::ROOM);
    assert_eq!(queue.next_at(), Some(100), "what was in vain is remembered");
    assert_eq!(queue.pop(100, 10), [online(1, 8, 0)]);
    assert!(queue.is_empty());
}

#[test]
fn several_at_one_moment_are_one_attempt() {
    let mut queue = Queue::new(SETTINGS);
    for number in 0..20 {
        queue.push(online(number, 7, 0));
    }
    for unit in queue.pop(0, 20) {
        queue.shut(unit, Hopes::ROOM, 0);
    }
    queue.happened(Hopes::ROOM);
    assert_eq!(queue.next_at(), Some(100));
}

#[test]
fn hopes_follow_from_refusals() {
    let refused = |refusal| Verdict::Refused(vec![refusal]);
    let hopes = Hopes::among(&[refused(Refusal::Cpu(Cpu::millis(1))), refused(Refusal::Disk(Bytes::new(1)))]);
    assert_eq!(hopes, Hopes::NODES | Hopes::ROOM | Hopes::PULLS | Hopes::DISK);
    assert_eq!(Hopes::among(&[]), Hopes::NODES, "a node may come");
}

#[derive(Clone, Debug)]
enum Step {
    Push(u128, u32, i64),
    Pop(usize),
    Shut,
    Remove(u128),
    Happened,
    Pass(i64),
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..60_u128, 0..4_u32, 0..100_i64).prop_map(|(number, demand, since)| Step::Push(number, demand, since)),
        3 => (1..4_usize).prop_map(Step::Pop),
        2 => Just(Step::Shut),
        1 => (0..60_u128).prop_map(Step::Remove),
        2 => Just(Step::Happened),
        2 => (0..2_000_i64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, a unit is in the queue or out of it, once; and once all that was hoped for has happened, each comes out.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in prop::collection::vec(a_step(), 0..80)) {
        let mut queue = Queue::new(SETTINGS);
        let mut inside = std::collections::BTreeSet::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Push(number, demand, since) => {
                    prop_assert_eq!(queue.push(online(number, demand, since)), inside.insert(number));
                }
                Step::Pop(most) => for number in numbers(&queue.pop(now, most)) {
                    prop_assert!(inside.remove(&number));
                },
                Step::Shut => if let Some(unit) = queue.pop(now, 1).pop() {
                    queue.shut(unit, Hopes::ROOM, now);
                },
                Step::Remove(number) => {
                    prop_assert_eq!(queue.remove(PodId(Uuid::from_u128(number))).is_some(), inside.remove(&number));
                }
                Step::Happened => queue.happened(Hopes::ROOM),
                Step::Pass(passed) => now += passed,
            }
            prop_assert_eq!(queue.len(), inside.len());
        }
        queue.happened(Hopes::ROOM);
        let mut out = pop_all(&mut queue, now + 10_000);
        out.sort_unstable();
        prop_assert_eq!(out, inside.into_iter().collect::<Vec<_>>());
        prop_assert!(queue.is_empty() && queue.next_at().is_none());
    }
}
