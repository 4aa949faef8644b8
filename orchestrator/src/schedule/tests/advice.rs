use longshore_fleet::PodId;

use super::{
    super::{Budget, Cluster, Demand, Weights},
    fixture::{MIB, cluster, demand, layer, node, pod, with_image},
};

fn of(app: &str, cpu_millis: u64) -> Demand {
    Demand { cpu_millis, memory_bytes: 0, ..demand(app) }
}

fn put(cluster: &mut Cluster, number: u128, wanted: &Demand, name: &str) {
    let index = cluster.demand(wanted);
    let node = cluster.node(&name.parse().unwrap()).unwrap();
    cluster.bind(pod(number), index, node);
    cluster.started(pod(number));
}

fn name(cluster: &Cluster, node: super::super::NodeIndex) -> String {
    cluster.facts(node).unwrap().name.to_string()
}

/// Where everything is, and what is left.
fn state(cluster: &Cluster) -> String {
    let mut pods: Vec<String> = Vec::new();
    for number in 0..30 {
        pods.extend(cluster.bound(pod(number)).map(|bound| format!("{number}: {bound:?}")));
    }
    let nodes = &cluster.nodes;
    format!("{pods:?} {:?} {:?} {:?} {:?}", nodes.cpu_free, nodes.arriving_kib, nodes.pulls, nodes.is_open)
}

const fn none(_: PodId) -> Option<Budget> {
    None
}

#[test]
fn moves_make_room_and_the_cheapest_in_bytes_are_advised() {
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2"), node("n3")]);
    let (heavy, light) = (with_image(of("heavy", 2_000), &[(1, 500)]), with_image(of("light", 2_000), &[(2, 50)]));
    put(&mut cluster, 1, &heavy, "n1");
    put(&mut cluster, 2, &light, "n2");
    put(&mut cluster, 3, &of("c", 1_000), "n3");
    let wanted = cluster.demand(&of("great", 3_500));
    assert!(cluster.place(pod(9), wanted).is_none());
    let before = state(&cluster);
    let advice = cluster.room_by_moves(wanted, none).unwrap();
    assert_eq!(state(&cluster), before, "nothing is moved by itself");
    assert_eq!((name(&cluster, advice.node), advice.missing_bytes()), ("n3".to_owned(), 0), "it has no image to fetch");
    put(&mut cluster, 4, &of("d", 3_000), "n3");
    let advice = cluster.room_by_moves(wanted, none).unwrap();
    assert_eq!((name(&cluster, advice.node), advice.moves.len()), ("n2".to_owned(), 1));
    assert_eq!(advice.missing_bytes(), 50 * MIB);
    assert_eq!(name(&cluster, advice.moves[0].to), "n1");
    let n1 = cluster.node(&"n1".parse().unwrap()).unwrap();
    cluster.set_layer(n1, &layer(2), 50 * MIB, true);
    assert_eq!(cluster.room_by_moves(wanted, none).unwrap().missing_bytes(), 0, "it is there already");
    assert_eq!(cluster.room_by_moves(wanted, |_| Some(Budget { of: 1, allowed: 0 })), None);
    let fits = cluster.demand(&of("small", 100));
    assert_eq!(cluster.room_by_moves(fits, none), None, "it needs none");
}

#[test]
fn nodes_are_emptied_into_fuller_ones() {
    let mut cluster = cluster(Weights::default(), ["n1", "n2", "n3", "n4"].map(node));
    put(&mut cluster, 1, &of("a", 500), "n1");
    put(&mut cluster, 2, &of("b", 1_000), "n2");
    put(&mut cluster, 3, &of("c", 2_000), "n3");
    let before = state(&cluster);
    let advice = cluster.emptied_by_moves(10, none);
    assert_eq!(state(&cluster), before);
    let emptied: Vec<String> = advice.iter().map(|advice| name(&cluster, advice.node)).collect();
    assert_eq!(emptied, ["n1", "n2"]);
    assert!(advice.iter().flat_map(|advice| &advice.moves).all(|moved| name(&cluster, moved.to) != "n4"), "{advice:?}");
    assert_eq!(cluster.emptied_by_moves(1, none).len(), 1);
    put(&mut cluster, 4, &of("d", 2_000), "n4");
    let merged = |cluster: &mut Cluster| -> Vec<String> {
        let advice = cluster.emptied_by_moves(10, none);
        advice.iter().map(|advice| name(cluster, advice.node)).collect()
    };
    assert_eq!(merged(&mut cluster), ["n1", "n2"], "n3 and n4 are too full by then");
    cluster.unbind(pod(1));
    cluster.unbind(pod(2));
    assert_eq!(merged(&mut cluster), ["n3"], "of two that are half full one is enough");
    put(&mut cluster, 1, &of("a", 500), "n1");
    put(&mut cluster, 2, &of("b", 1_000), "n2");
    cluster.unbind(pod(4));
    let budget = |pod: PodId| Some(Budget { of: 1, allowed: u32::from(pod == super::fixture::pod(1)) });
    assert_eq!(cluster.emptied_by_moves(10, budget).len(), 1);
}

#[test]
fn advice_keeps_to_what_the_scheduler_keeps_to() {
    let spread = longshore_fleet::Spread {
        topology_key: "kubernetes.io/hostname".parse().unwrap(),
        max_skew: 1,
        when_unsatisfiable: longshore_fleet::WhenUnsatisfiable::DoNotSchedule,
        selector: None,
    };
    let apart = Demand { spread: vec![spread], ..of("a", 1_000) };
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2")]);
    put(&mut cluster, 1, &apart, "n1");
    put(&mut cluster, 2, &apart, "n2");
    let wanted = cluster.demand(&of("great", 4_000));
    assert_eq!(cluster.room_by_moves(wanted, none), None, "neither may join the other");
    assert_eq!(cluster.emptied_by_moves(10, none), []);
}

#[test]
fn what_is_on_its_way_is_as_it_was_when_moves_were_tried() {
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2")]);
    let n1 = cluster.node(&"n1".parse().unwrap()).unwrap();
    for (number, layers) in [(1, &[(1, 10)][..]), (2, &[(2, 10)][..]), (3, &[(1, 10), (2, 10)][..])] {
        let index = cluster.demand(&with_image(of(&format!("a{number}"), 500), layers));
        cluster.bind(pod(number), index, n1);
    }
    cluster.set_layer(n1, &layer(1), 10 * MIB, true);
    put(&mut cluster, 4, &of("b", 3_000), "n2");
    let before = state(&cluster);
    let wanted = cluster.demand(&of("great", 3_500));
    cluster.room_by_moves(wanted, none);
    cluster.emptied_by_moves(10, none);
    assert_eq!(state(&cluster), before);
}

#[test]
fn a_gang_is_placed_whole_or_not_at_all() {
    let mut cluster = cluster(Weights::default(), [node("n1"), node("n2")]);
    let wanted = cluster.demand(&of("gang", 1_500));
    let pods: Vec<PodId> = (0..5).map(pod).collect();
    let before = state(&cluster);
    assert_eq!(cluster.place_gang(&pods, wanted), None, "four of them would fit");
    assert_eq!(state(&cluster), before);
    assert_eq!(cluster.place_gang(&pods[..4], wanted).map(|placed| placed.len()), Some(4));
}
