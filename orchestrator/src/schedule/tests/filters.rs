//! What refuses a pod on a node, one reason at a time: the pod fits as the node is, and no more with one change, which is named.

use longshore_fleet::{Bytes, Cpu, Effect, PodTerm, Protocol, Spread, Taint, Toleration, WhenUnsatisfiable};
use longshore_oci::Platform;

use super::{
    super::{Cluster, Demand, NodeFacts, Refusal, Verdict, Weights},
    fixture::{cluster, demand, labels, layer, node, node_in, place, pod, with_image},
};

fn refusals(cluster: &mut Cluster, wanted: &Demand, name: &str) -> Vec<Refusal> {
    let index = cluster.demand(wanted);
    let node = cluster.node(&name.parse().unwrap()).unwrap();
    let (_, verdict) = cluster.verdicts(index).find(|(at, _)| *at == node).unwrap();
    match verdict {
        Verdict::Fits(_) => Vec::new(),
        Verdict::Refused(refusals) => refusals,
    }
}

/// Why a node of these facts refuses such a pod, with nothing else there.
fn alone(facts: NodeFacts, wanted: &Demand) -> Vec<Refusal> {
    let name = facts.name.to_string();
    let mut cluster = cluster(Weights::default(), [facts]);
    let refusals = refusals(&mut cluster, wanted, &name);
    assert_eq!(place(&mut cluster, 1, wanted).is_some(), refusals.is_empty(), "the choice is of one mind with the verdict");
    refusals
}

#[test]
fn a_plain_node_takes_a_plain_pod() {
    assert_eq!(alone(node("n"), &demand("a")), []);
}

#[test]
fn a_node_that_is_not_ready_or_cordoned_takes_none() {
    assert_eq!(alone(NodeFacts { is_ready: false, ..node("n") }, &demand("a")), [Refusal::NotReady]);
    assert_eq!(alone(NodeFacts { is_cordoned: true, ..node("n") }, &demand("a")), [Refusal::Cordoned]);
}

#[test]
fn an_image_goes_where_it_is_made_for() {
    let arm = Platform { os: "linux".into(), architecture: "arm64".into(), ..Platform::default() };
    let facts = NodeFacts { platform: arm.clone(), ..node("n") };
    let mut wanted = with_image(demand("a"), &[(1, 10)]);
    assert_eq!(alone(facts.clone(), &wanted), [Refusal::Platform(arm)]);
    let mut other = wanted.images[0].clone();
    other.architecture = "arm64".into();
    wanted.images.push(other);
    assert_eq!(alone(facts, &wanted), []);
    assert_eq!(alone(node("n"), &wanted), []);
}

#[test]
fn labels_are_those_that_are_wanted() {
    let mut wanted = demand("a");
    wanted.node_selector = labels(&[("disk", "ssd")]);
    assert_eq!(alone(node("n"), &wanted), [Refusal::Labels]);
    assert_eq!(alone(NodeFacts { labels: labels(&[("disk", "ssd")]), ..node("n") }, &wanted), []);
    wanted.node_selector = labels(&[("kubernetes.io/hostname", "n")]);
    assert_eq!(alone(node("n"), &wanted), [], "every node has its name for a label");
    assert_eq!(alone(node("m"), &wanted), [Refusal::Labels]);
    let mut wanted = demand("a");
    let term = |text: &str| longshore_fleet::NodeTerm { match_expressions: text.parse::<longshore_fleet::Selector>().unwrap().0 };
    wanted.affinity.node.required = vec![term("disk=ssd,!gpu"), term("cores>8")];
    assert_eq!(alone(NodeFacts { labels: labels(&[("disk", "ssd"), ("gpu", "")]), ..node("n") }, &wanted), [Refusal::Labels]);
    assert_eq!(alone(NodeFacts { labels: labels(&[("disk", "ssd")]), ..node("n") }, &wanted), [], "the first term");
    assert_eq!(alone(NodeFacts { labels: labels(&[("cores", "16")]), ..node("n") }, &wanted), [], "the second");
}

#[test]
fn taints_keep_off_who_does_not_tolerate_them() {
    for (effect, is_refused) in [(Effect::NoSchedule, true), (Effect::NoExecute, true), (Effect::PreferNoSchedule, false)] {
        let taint = Taint { key: "gpu".parse().unwrap(), value: "big".parse().unwrap(), effect };
        let facts = NodeFacts { taints: vec![taint.clone()], ..node("n") };
        let expected = if is_refused { vec![Refusal::Tainted(taint)] } else { Vec::new() };
        assert_eq!(alone(facts.clone(), &demand("a")), expected, "{effect:?}");
        let key = Some("gpu".parse().unwrap());
        let operator = longshore_fleet::Comparison::Exists;
        let tolerant = Demand { tolerations: vec![Toleration { key, operator, ..Toleration::default() }], ..demand("a") };
        assert_eq!(alone(facts, &tolerant), [], "{effect:?}");
    }
}

#[test]
fn room_is_what_others_have_left() {
    let facts = NodeFacts { cpu: Cpu::millis(1_500), memory: Bytes::new(3 << 29), pods: 2, ..node("n") };
    let mut cluster = cluster(Weights::default(), [facts]);
    place(&mut cluster, 1, &demand("a")).unwrap();
    let short = [Refusal::Cpu(Cpu::millis(500)), Refusal::Memory(Bytes::new(1 << 29))];
    assert_eq!(refusals(&mut cluster, &demand("b"), "n"), short);
    let nothing = Demand { cpu_millis: 0, memory_bytes: 0, ..demand("c") };
    assert_eq!(place(&mut cluster, 2, &nothing).as_deref(), Some("n"));
    assert_eq!(refusals(&mut cluster, &nothing, "n"), [Refusal::Pods]);
    cluster.unbind(pod(1));
    assert_eq!(refusals(&mut cluster, &demand("b"), "n"), []);
    cluster.remove_node(&"n".parse().unwrap());
    let greedy = Demand { memory_bytes: i64::MAX.unsigned_abs(), cpu_millis: i64::MAX.unsigned_abs(), ..demand("d") };
    assert_eq!(place(&mut cluster, 3, &greedy), None, "nothing is too much to ask of a node that is gone");
}

#[test]
fn a_port_of_the_node_is_one_pods() {
    let wanted = Demand { ports: vec![(80, Protocol::Tcp)], ..demand("a") };
    let mut cluster = cluster(Weights::default(), [node("n")]);
    place(&mut cluster, 1, &wanted).unwrap();
    assert_eq!(refusals(&mut cluster, &wanted, "n"), [Refusal::Port(80, Protocol::Tcp)]);
    assert_eq!(refusals(&mut cluster, &Demand { ports: vec![(80, Protocol::Udp)], ..demand("a") }, "n"), []);
    let both = cluster.demand(&wanted);
    let n = cluster.node(&"n".parse().unwrap()).unwrap();
    cluster.bind(pod(2), both, n);
    cluster.unbind(pod(1));
    assert_eq!(refusals(&mut cluster, &wanted, "n"), [Refusal::Port(80, Protocol::Tcp)], "another has it still");
    cluster.unbind(pod(2));
    assert_eq!(refusals(&mut cluster, &wanted, "n"), []);
}

#[test]
fn a_disk_has_room_for_what_is_missing() {
    let wanted = with_image(demand("a"), &[(1, 60), (2, 60)]);
    let facts = NodeFacts { disk: Bytes::new(100 << 20), ..node("n") };
    assert_eq!(alone(facts.clone(), &wanted), [Refusal::Disk(Bytes::new(20 << 20))]);
    let mut cluster = cluster(Weights::default(), [facts]);
    let n = cluster.node(&"n".parse().unwrap()).unwrap();
    cluster.set_layer(n, &layer(1), 60 << 20, true);
    assert_eq!(refusals(&mut cluster, &wanted, "n"), [], "one of them is there");
    place(&mut cluster, 1, &wanted).unwrap();
    let other = with_image(demand("b"), &[(3, 50)]);
    assert_eq!(refusals(&mut cluster, &other, "n"), [Refusal::Disk(Bytes::new(10 << 20))], "what is on its way has its room");
    assert_eq!(refusals(&mut cluster, &wanted, "n"), [], "and is not fetched twice");
}

#[test]
fn so_many_images_are_on_their_way_at_once() {
    let weights = Weights { pulls_per_node: 1, ..Weights::default() };
    let mut cluster = cluster(weights, [node("n")]);
    let (one, other) = (with_image(demand("a"), &[(1, 10)]), with_image(demand("b"), &[(2, 10)]));
    place(&mut cluster, 1, &one).unwrap();
    assert_eq!(refusals(&mut cluster, &other, "n"), [Refusal::Pulls]);
    assert_eq!(refusals(&mut cluster, &one, "n"), [], "it is on its way already");
    cluster.started(pod(1));
    assert_eq!(refusals(&mut cluster, &other, "n"), []);
}

#[test]
fn pods_are_near_others_or_far_from_them() {
    let zone = |selector: &str| PodTerm {
        selector: selector.parse().unwrap(),
        topology_key: "topology.kubernetes.io/zone".parse().unwrap(),
    };
    let mut cluster = cluster(Weights::default(), [node_in("n1", "a"), node_in("n2", "a"), node_in("n3", "b"), node("n4")]);
    let mut near = demand("web");
    near.affinity.pod.required = vec![zone("app=db")];
    let key = zone("").topology_key;
    let not_near = Refusal::NotNear("app=db".parse().unwrap(), key.clone());
    assert_eq!(refusals(&mut cluster, &near, "n1"), std::slice::from_ref(&not_near));
    place(&mut cluster, 1, &demand("db")).unwrap();
    assert_eq!(refusals(&mut cluster, &near, "n1"), []);
    assert_eq!(refusals(&mut cluster, &near, "n2"), []);
    assert_eq!(refusals(&mut cluster, &near, "n3"), [not_near]);
    assert_eq!(refusals(&mut cluster, &near, "n4"), [Refusal::NoLabel(key.clone())]);
    let mut far = demand("lonely");
    far.affinity.pod_anti.required = vec![zone("app=db")];
    let apart = Refusal::Near("app=db".parse().unwrap(), key.clone());
    assert_eq!(refusals(&mut cluster, &far, "n2"), std::slice::from_ref(&apart));
    assert_eq!(place(&mut cluster, 2, &far).as_deref(), Some("n3"));
    assert_eq!(refusals(&mut cluster, &demand("db"), "n3"), [apart], "what keeps others away is not joined by them");
    assert_eq!(refusals(&mut cluster, &demand("db"), "n4"), []);
}

#[test]
fn the_first_of_those_that_would_be_together_goes_anywhere() {
    let mut wanted = demand("a");
    wanted.affinity.pod.required =
        vec![PodTerm { selector: "app=a".parse().unwrap(), topology_key: "kubernetes.io/hostname".parse().unwrap() }];
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2")]);
    assert_eq!(place(&mut cluster, 1, &wanted).as_deref(), Some("n1"));
    assert!(matches!(refusals(&mut cluster, &wanted, "n2").as_slice(), [Refusal::NotNear(..)]));
    assert_eq!(place(&mut cluster, 2, &wanted).as_deref(), Some("n1"));
}

#[test]
fn no_zone_has_more_than_the_skew_allows() {
    let spread = |max_skew| Spread {
        topology_key: "topology.kubernetes.io/zone".parse().unwrap(),
        max_skew,
        when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
        selector: None,
    };
    let wanted = Demand { spread: vec![spread(1)], ..demand("a") };
    let mut cluster = cluster(Weights::default(), [node_in("n1", "a"), node_in("n2", "b"), node("n3")]);
    assert_eq!(place(&mut cluster, 1, &wanted).as_deref(), Some("n1"));
    let key = spread(1).topology_key;
    assert_eq!(refusals(&mut cluster, &wanted, "n1"), [Refusal::Skew(key.clone(), 1)]);
    assert_eq!(refusals(&mut cluster, &wanted, "n3"), [Refusal::NoLabel(key)]);
    for max_skew in [2, u32::MAX] {
        assert_eq!(refusals(&mut cluster, &Demand { spread: vec![spread(max_skew)], ..demand("a") }, "n1"), []);
    }
    cluster.put_node(NodeFacts { is_cordoned: true, ..node_in("n2", "b") });
    assert_eq!(refusals(&mut cluster, &wanted, "n1"), [], "a zone that can take none is not waited for");
}
