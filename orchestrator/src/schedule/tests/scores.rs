//! Which of two nodes is chosen, one term at a time.

use longshore_fleet::{Class, Effect, PreferredNodeTerm, PreferredPodTerm, Selector, Taint};

use super::{
    super::{Cost, Demand, NodeFacts, Weights},
    fixture::{MIB, bytes_alone, cluster, demand, labels, layer, node, node_in, place, pod, with_image},
};

#[test]
fn a_node_that_has_the_bytes_is_chosen_and_the_rest_is_counted_exactly() {
    let mut cluster = cluster(bytes_alone(), [node("n1"), node("n2")]);
    let n2 = cluster.node(&"n2".parse().unwrap()).unwrap();
    cluster.set_layer(n2, &layer(1), 300 * MIB, true);
    let wanted = with_image(demand("a"), &[(1, 300), (2, 50)]);
    let index = cluster.demand(&wanted);
    let placed = cluster.place(pod(1), index).unwrap();
    assert_eq!((placed.node, placed.missing_bytes), (n2, 50 * MIB));
    // 50 MiB that no neighbour has, at 10 MB/s.
    assert!((Cost::seconds(placed.cost.start) - 5.24).abs() < 0.01, "{placed:?}");
}

#[test]
fn bytes_on_their_way_are_not_counted_twice_but_waited_for() {
    let mut cluster = cluster(bytes_alone(), [node("n1"), node("n2")]);
    let wanted = with_image(demand("a"), &[(1, 100)]);
    let index = cluster.demand(&wanted);
    let first = cluster.place(pod(1), index).unwrap();
    let second = cluster.place(pod(2), index).unwrap();
    assert_eq!((second.node, second.missing_bytes), (first.node, 0));
    assert!(second.cost.start > 0, "they are not there yet: {second:?}");
    cluster.started(pod(1));
    assert_eq!(cluster.cost(index, first.node).start, 0);
}

#[test]
fn neighbours_are_faster_than_what_is_outside() {
    let mut cluster = cluster(bytes_alone(), [node_in("n1", "a"), node_in("n2", "b"), node_in("n3", "b")]);
    let n3 = cluster.node(&"n3".parse().unwrap()).unwrap();
    cluster.set_layer(n3, &layer(1), 100 * MIB, true);
    let wanted = with_image(demand("a"), &[(1, 100)]);
    cluster.put_node(NodeFacts { is_cordoned: true, ..node_in("n3", "b") });
    assert_eq!(place(&mut cluster, 1, &wanted).as_deref(), Some("n2"), "its neighbour has them");
}

#[test]
fn a_warm_node_that_is_crowded_loses_to_one_that_is_a_little_cold() {
    let weights = Weights { balance_seconds: 10.0, ..bytes_alone() };
    let mut wanted = with_image(demand("a"), &[(1, 30)]);
    wanted.class = Class::Online;
    let choose = |used: u64, balance_seconds: f32| {
        let mut cluster = cluster(Weights { balance_seconds, ..weights }, [node("warm"), node("cold")]);
        let warm = cluster.node(&"warm".parse().unwrap()).unwrap();
        cluster.set_layer(warm, &layer(1), 30 * MIB, true);
        let crowd = Demand { cpu_millis: used, memory_bytes: used << 21, ..demand("crowd") };
        let crowd = cluster.demand(&crowd);
        cluster.bind(pod(9), crowd, warm);
        place(&mut cluster, 1, &wanted).unwrap()
    };
    // The cold one costs 0.3 s: the bytes are near. 2.5 of 4 cores and 5 of 8 GiB cost 6.25 of 10 s.
    assert_eq!(choose(2_500, 10.0), "cold");
    assert_eq!(choose(100, 10.0), "warm", "a little crowd is worth less than the wait");
    assert_eq!(choose(2_500, 0.1), "warm", "the exchange rate is a setting");
}

#[test]
fn batch_is_packed_and_online_is_spread() {
    let weights = Weights { balance_seconds: 10.0, ..bytes_alone() };
    for (class, second) in [(Class::Batch, "n1"), (Class::Online, "n2")] {
        let mut cluster = cluster(weights, [node("n1"), node("n2")]);
        let wanted = Demand { class, ..demand("a") };
        assert_eq!(place(&mut cluster, 1, &wanted).as_deref(), Some("n1"));
        assert_eq!(place(&mut cluster, 2, &wanted).as_deref(), Some(second), "{class:?}");
    }
}

#[test]
fn what_takes_one_thing_goes_where_the_other_is_taken() {
    let weights = Weights { evenness_seconds: 10.0, ..bytes_alone() };
    let mut cluster = cluster(weights, [node("n1"), node("n2")]);
    place(&mut cluster, 1, &Demand { cpu_millis: 3_000, memory_bytes: 0, ..demand("a") }).unwrap();
    let hungry = Demand { cpu_millis: 0, memory_bytes: 6 << 30, ..demand("b") };
    assert_eq!(place(&mut cluster, 2, &hungry).as_deref(), Some("n1"));
}

#[test]
fn online_pods_of_a_kind_are_apart() {
    let weights = Weights { spread_seconds: 1.0, ..bytes_alone() };
    let mut cluster = cluster(weights, [node_in("n1", "a"), node_in("n2", "a"), node_in("n3", "b")]);
    let wanted = Demand { class: Class::Online, ..demand("a") };
    let names: Vec<String> = (1..=4).map(|number| place(&mut cluster, number, &wanted).unwrap()).collect();
    assert_eq!(names, ["n1", "n3", "n2", "n3"], "by zone, then by node");
}

#[test]
fn preferences_failures_and_uploads_count() {
    let preferred = |facts: NodeFacts, wanted: &Demand| {
        let mut cluster = cluster(Weights { balance_seconds: 0.0, ..Weights::default() }, [node("plain"), facts]);
        place(&mut cluster, 1, wanted).unwrap()
    };
    let mut liking = demand("a");
    let terms = "disk=ssd".parse::<Selector>().unwrap().0;
    liking.affinity.node.preferred = vec![PreferredNodeTerm { weight: 10, match_expressions: terms }];
    let ssd = NodeFacts { labels: labels(&[("disk", "ssd")]), ..node("other") };
    assert_eq!(preferred(ssd.clone(), &liking), "other");
    assert_eq!(preferred(ssd.clone(), &demand("a")), "plain");
    let taint = Taint { key: "old".parse().unwrap(), value: "".parse().unwrap(), effect: Effect::PreferNoSchedule };
    assert_eq!(preferred(NodeFacts { taints: vec![taint], ..ssd.clone() }, &liking), "plain", "a taint weighs more");
    assert_eq!(preferred(NodeFacts { failures: 1.0, ..ssd.clone() }, &liking), "plain");
    assert_eq!(preferred(NodeFacts { upload_load: 1.0, ..ssd.clone() }, &liking), "plain");
    assert_eq!(preferred(NodeFacts { upload_load: 0.4, ..ssd }, &liking), "other");
}

#[test]
fn pods_that_are_liked_draw_and_others_repel() {
    let wish = |weight| PreferredPodTerm {
        weight,
        selector: "app=db".parse().unwrap(),
        topology_key: "kubernetes.io/hostname".parse().unwrap(),
    };
    let weights = Weights { affinity_seconds: 10.0, ..bytes_alone() };
    let mut cluster = cluster(weights, [node("n1"), node("n2")]);
    let db = cluster.demand(&demand("db"));
    let n2 = cluster.node(&"n2".parse().unwrap()).unwrap();
    cluster.bind(pod(9), db, n2);
    let mut drawn = demand("a");
    drawn.affinity.pod.preferred = vec![wish(1)];
    assert_eq!(place(&mut cluster, 1, &drawn).as_deref(), Some("n2"));
    let mut repelled = demand("b");
    repelled.affinity.pod_anti.preferred = vec![wish(1)];
    assert_eq!(place(&mut cluster, 2, &repelled).as_deref(), Some("n1"));
}
