use longshore_fleet::{PodId, Protocol};
use proptest::prelude::*;

use super::{
    super::{Budget, Cluster, Demand, Preemption, Verdict, Weights},
    fixture::{bytes_alone, cluster, demand, labels, layer, node, pod, with_image},
};

fn of(app: &str, priority: i32, cpu_millis: u64) -> Demand {
    Demand { priority, cpu_millis, memory_bytes: 0, ..demand(app) }
}

fn put(cluster: &mut Cluster, number: u128, wanted: &Demand, name: &str) {
    let index = cluster.demand(wanted);
    let node = cluster.node(&name.parse().unwrap()).unwrap();
    cluster.bind(pod(number), index, node);
}

fn preempt(cluster: &mut Cluster, wanted: &Demand) -> Option<(String, Vec<PodId>)> {
    preempt_within(cluster, wanted, |_| None)
}

fn preempt_within(
    cluster: &mut Cluster,
    wanted: &Demand,
    budget: impl Fn(PodId) -> Option<Budget>,
) -> Option<(String, Vec<PodId>)> {
    let index = cluster.demand(wanted);
    let Preemption { node, mut victims, .. } = cluster.preempt(index, budget)?;
    victims.sort_unstable();
    Some((cluster.facts(node).unwrap().name.to_string(), victims))
}

#[test]
fn those_of_least_priority_go_and_as_few_as_can_be() {
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2"), node("n3")]);
    put(&mut cluster, 1, &of("a", 5, 4_000), "n1");
    for number in 2..6 {
        put(&mut cluster, number, &of("b", 1, 1_000), "n2");
    }
    put(&mut cluster, 6, &of("c", 1, 2_000), "n3");
    put(&mut cluster, 7, &of("d", 1, 2_000), "n3");
    let wanted = of("urgent", 10, 2_000);
    assert_eq!(preempt(&mut cluster, &wanted), Some(("n3".into(), vec![pod(7)])), "one of two cores, not two of one");
    assert_eq!(preempt(&mut cluster, &of("urgent", 10, 1_000)), Some(("n2".into(), vec![pod(5)])));
    assert_eq!(preempt(&mut cluster, &of("urgent", 1, 1_000)), None, "none has less");
    assert_eq!(preempt(&mut cluster, &of("urgent", 10, 9_000)), None, "no node is so great");
}

#[test]
fn those_that_matter_more_are_spared() {
    let mut cluster = cluster(Weights::default(), [node("n1")]);
    put(&mut cluster, 1, &of("a", 1, 1_000), "n1");
    put(&mut cluster, 2, &of("b", 3, 2_000), "n1");
    put(&mut cluster, 3, &of("c", 2, 1_000), "n1");
    assert_eq!(preempt(&mut cluster, &of("urgent", 10, 2_000)), Some(("n1".into(), vec![pod(1), pod(3)])));
}

#[test]
fn budgets_are_kept() {
    let mut cluster = cluster(Weights::default(), [node("n1")]);
    for number in 1..=4 {
        put(&mut cluster, number, &of("a", 1, 1_000), "n1");
    }
    let budget = |allowed| move |_| Some(Budget { of: 1, allowed });
    let wanted = of("urgent", 10, 2_000);
    assert_eq!(preempt_within(&mut cluster, &wanted, budget(1)), None);
    assert_eq!(preempt_within(&mut cluster, &wanted, budget(2)).unwrap().1.len(), 2);
}

#[test]
fn what_is_warm_elsewhere_goes_before_what_is_not() {
    let mut cluster = cluster(bytes_alone(), [node("n1"), node("n2"), node("warm")]);
    let (cold, warm) = (with_image(of("cold", 1, 4_000), &[(1, 500)]), with_image(of("warm", 1, 4_000), &[(2, 500)]));
    put(&mut cluster, 1, &cold, "n1");
    put(&mut cluster, 2, &warm, "n2");
    put(&mut cluster, 3, &of("full", 20, 4_000), "warm");
    for number in 1..=2 {
        cluster.started(pod(number));
    }
    let nodes = ["n1", "n2", "warm"].map(|name| cluster.node(&name.parse().unwrap()).unwrap());
    let wanted = of("urgent", 10, 4_000);
    cluster.set_layer(nodes[2], &layer(2), 500 << 20, true);
    assert_eq!(preempt(&mut cluster, &wanted), Some(("n2".into(), vec![pod(2)])), "where it is warm it starts again at once");
    cluster.set_layer(nodes[2], &layer(2), 500 << 20, false);
    cluster.set_layer(nodes[2], &layer(1), 500 << 20, true);
    assert_eq!(preempt(&mut cluster, &wanted), Some(("n1".into(), vec![pod(1)])));
}

#[test]
fn what_could_run_nowhere_else_goes_last() {
    let mut cluster = cluster(bytes_alone(), [node("n1"), node("n2"), node("n3")]);
    let pinned = Demand { node_selector: labels(&[("kubernetes.io/hostname", "n1")]), ..of("pinned", 1, 4_000) };
    put(&mut cluster, 1, &pinned, "n1");
    put(&mut cluster, 2, &with_image(of("cold", 1, 4_000), &[(1, 500)]), "n2");
    put(&mut cluster, 3, &of("full", 20, 4_000), "n3");
    assert_eq!(preempt(&mut cluster, &of("urgent", 10, 4_000)), Some(("n2".into(), vec![pod(2)])));
}

#[test]
fn what_must_be_near_does_not_have_to_go() {
    let mut cluster = cluster(Weights::default(), [node("n1")]);
    put(&mut cluster, 1, &of("db", 0, 2_000), "n1");
    put(&mut cluster, 2, &of("other", 1, 2_000), "n1");
    let mut wanted = of("web", 10, 2_000);
    let (selector, topology_key) = ("app=db".parse().unwrap(), "kubernetes.io/hostname".parse().unwrap());
    wanted.affinity.pod.required = vec![longshore_fleet::PodTerm { selector, topology_key }];
    assert_eq!(preempt(&mut cluster, &wanted), Some(("n1".into(), vec![pod(2)])));
    assert_eq!(preempt(&mut cluster, &Demand { cpu_millis: 4_000, ..wanted }), None);
}

#[test]
fn a_port_is_freed_by_whoever_has_it() {
    let mut cluster = cluster(Weights::default(), [node("n1")]);
    put(&mut cluster, 1, &of("a", 1, 100), "n1");
    put(&mut cluster, 2, &Demand { ports: vec![(80, Protocol::Tcp)], ..of("b", 2, 100) }, "n1");
    let wanted = Demand { ports: vec![(80, Protocol::Tcp)], ..of("urgent", 10, 100) };
    assert_eq!(preempt(&mut cluster, &wanted), Some(("n1".into(), vec![pod(2)])));
    assert_eq!(preempt(&mut cluster, &Demand { priority: 2, ..wanted }), None);
}

#[test]
fn what_is_no_matter_of_room_is_not_mended_by_it() {
    let mut cluster = cluster(Weights::default(), [node("n1")]);
    put(&mut cluster, 1, &of("a", 1, 4_000), "n1");
    let wanted = Demand { node_selector: labels(&[("disk", "ssd")]), ..of("urgent", 10, 1_000) };
    assert_eq!(preempt(&mut cluster, &wanted), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Once they are gone it fits; it would not with any of them back; each has less priority, and no budget is overdrawn.
    #[test]
    fn victims_are_enough_and_none_too_many(
        pods in prop::collection::vec((0..3_usize, 0..4_i32, 1..5_u64, 0..3_u64), 0..12),
        wanted in (1..5_i32, 1..9_u64),
        allowed in 0..3_u32,
    ) {
        let mut cluster = cluster(Weights::default(), [node("n0"), node("n1"), node("n2")]);
        let mut kinds = std::collections::HashMap::new();
        let mut used = [0; 3];
        for (number, (at, priority, cpu, kind)) in pods.into_iter().enumerate() {
            if used[at] + cpu * 500 > 4_000 {
                continue;
            }
            used[at] += cpu * 500;
            let number = number as u128;
            put(&mut cluster, number, &of(&format!("a{kind}"), priority, cpu * 500), &format!("n{at}"));
            kinds.insert(pod(number), (kind, priority));
        }
        let wanted = of("urgent", wanted.0, wanted.1 * 500);
        let index = cluster.demand(&wanted);
        let budget = |pod: PodId| Some(Budget { of: kinds[&pod].0, allowed });
        if let Some(Preemption { node, victims, .. }) = cluster.preempt(index, budget) {
            for kind in 0..3 {
                prop_assert!(victims.iter().filter(|pod| kinds[pod].0 == kind).count() <= allowed as usize);
            }
            prop_assert!(victims.iter().all(|pod| kinds[pod].1 < wanted.priority));
            let name = cluster.facts(node).unwrap().name.clone();
            let fits = |cluster: &Cluster| {
                let mut verdicts = cluster.verdicts(index);
                verdicts.any(|(at, verdict)| at == cluster.node(&name).unwrap() && matches!(verdict, Verdict::Fits(_)))
            };
            let bounds: Vec<_> = victims.iter().map(|victim| (*victim, cluster.bound(*victim).unwrap())).collect();
            for (victim, _) in &bounds {
                cluster.unbind(*victim);
            }
            prop_assert!(fits(&cluster));
            for (victim, bound) in bounds {
                cluster.restore(victim, bound);
                prop_assert!(!fits(&cluster), "{victim} need not go");
                cluster.unbind(victim);
            }
        }
    }
}
