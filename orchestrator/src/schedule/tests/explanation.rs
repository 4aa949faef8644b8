use longshore_fleet::{Cpu, Effect, Taint};

use super::{
    super::{NodeFacts, Refusal, Weights},
    fixture::{cluster, demand, node},
};

#[test]
fn verdicts_are_put_together_and_remedies_named() {
    let taint = Taint { key: "gpu".parse().unwrap(), value: "big".parse().unwrap(), effect: Effect::NoSchedule };
    let mut nodes: Vec<NodeFacts> =
        (0..12).map(|at| NodeFacts { cpu: Cpu::millis(400 + at * 10), ..node(&format!("small{at}")) }).collect();
    nodes.push(NodeFacts { taints: vec![taint.clone()], ..node("special") });
    nodes.push(NodeFacts { is_cordoned: true, taints: vec![taint.clone()], ..node("closed") });
    let mut cluster = cluster(Weights::default(), nodes);
    let wanted = cluster.demand(&demand("a"));
    let explanation = cluster.explain(wanted);
    assert!(explanation.fits.is_empty());
    let groups: Vec<(usize, &[Refusal])> =
        explanation.refused.iter().map(|group| (group.nodes.len(), group.refusals.as_slice())).collect();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0], (12, &[Refusal::Cpu(Cpu::millis(490))][..]), "the amount of the node that is short of least");
    let both = [Refusal::Cordoned, Refusal::Tainted(taint)];
    assert!(groups.contains(&(1, &both[..])), "{groups:?}");
    let remedies: Vec<String> = explanation.remedies.iter().map(ToString::to_string).collect();
    assert_eq!(
        remedies,
        ["free 490m of CPU on one (12 nodes)", "remove the taint gpu=big:NoSchedule, or tolerate it (1 node)"],
        "what one change would not mend is no remedy"
    );
}

#[test]
fn nodes_that_fit_come_in_the_order_of_their_cost() {
    let mut cluster = cluster(Weights::default(), [node("n1"), NodeFacts { failures: 3.0, ..node("n2") }, node("n3")]);
    let wanted = cluster.demand(&demand("a"));
    let explanation = cluster.explain(wanted);
    let names: Vec<&str> = explanation.fits.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["n1", "n3", "n2"]);
    assert!(explanation.refused.is_empty() && explanation.remedies.is_empty());
}
