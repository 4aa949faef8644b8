//! Where a pod would be: near what, far from what, spread over what (Kubernetes' "Assigning Pods to Nodes" and "Pod Topology Spread
//! Constraints").
//!
//! Two things are simpler than there: of several terms for pods each may be met by another pod, and what pods that are there prefer does
//! not draw or repel those that come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Faults, LabelKey, MOST_REPLICAS, Place, Requirement, Selector};

/// A pod's leanings.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Affinity {
    /// Towards nodes by their labels.
    #[serde(default)]
    pub node: NodeAffinity,
    /// Towards pods by theirs.
    #[serde(default)]
    pub pod: PodAffinity,
    /// Away from pods by theirs.
    #[serde(default)]
    pub pod_anti: PodAffinity,
}

/// Towards nodes.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeAffinity {
    /// Terms, of which a node meets at least one; none where every node will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<NodeTerm>,
    /// Terms, each of which makes a node better by its weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<PreferredNodeTerm>,
}

/// Demands on a node's labels, all of which it meets.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeTerm {
    /// The demands.
    pub match_expressions: Vec<Requirement>,
}

/// A [`NodeTerm`], and how much it is worth.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreferredNodeTerm {
    /// From 1 to 100.
    pub weight: u32,
    /// The demands.
    pub match_expressions: Vec<Requirement>,
}

/// Towards pods, or away from them.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodAffinity {
    /// Terms, all of which are met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<PodTerm>,
    /// Terms, each of which counts by its weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<PreferredPodTerm>,
}

/// Pods by their labels, and how near is near: on a node with the same value of the topology key. Pods of the same namespace are meant.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodTerm {
    /// Which pods.
    pub selector: Selector,
    /// A label of nodes; `kubernetes.io/hostname` is the node itself.
    pub topology_key: LabelKey,
}

/// A [`PodTerm`], and how much it is worth.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreferredPodTerm {
    /// From 1 to 100.
    pub weight: u32,
    /// Which pods.
    pub selector: Selector,
    /// A label of nodes.
    pub topology_key: LabelKey,
}

/// How evenly a workload's pods are spread over the values of a label of nodes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spread {
    /// The label: `topology.kubernetes.io/zone`, `kubernetes.io/hostname`.
    pub topology_key: LabelKey,
    /// By how many pods a value may have more than the one that has the fewest.
    pub max_skew: u32,
    /// What happens where that can't be.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// Which pods are counted; those of the same workload and template where there is none, so that a rollout's new pods are spread
    /// by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// What happens to a pod that would be too many.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum WhenUnsatisfiable {
    /// It waits.
    #[default]
    DoNotSchedule,
    /// It goes where it is least so.
    ScheduleAnyway,
}

impl Affinity {
    /// Finds demands that can't be read, and weights that are none.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        let node = at.field("node");
        for (index, term) in self.node.required.iter().enumerate() {
            check_demands(&term.match_expressions, &node.field("required").item(index), faults);
        }
        for (index, term) in self.node.preferred.iter().enumerate() {
            let field = node.field("preferred");
            let place = field.item(index);
            check_weight(term.weight, &place, faults);
            check_demands(&term.match_expressions, &place, faults);
        }
        for (name, terms) in [("pod", &self.pod), ("podAnti", &self.pod_anti)] {
            for (index, term) in terms.preferred.iter().enumerate() {
                check_weight(term.weight, &at.field(name).field("preferred").item(index), faults);
            }
        }
    }
}

fn check_demands(demands: &[Requirement], at: &Place<'_>, faults: &mut Faults) {
    if demands.is_empty() {
        faults.add(&at.field("matchExpressions"), "is empty: it would match no node");
    }
    for (index, demand) in demands.iter().enumerate() {
        if let Some(fault) = demand.fault() {
            faults.add(&at.field("matchExpressions").item(index).field("values"), fault);
        }
    }
}

fn check_weight(weight: u32, at: &Place<'_>, faults: &mut Faults) {
    if !(1..=100).contains(&weight) {
        faults.add(&at.field("weight"), "must be from 1 to 100");
    }
}

impl Spread {
    /// Finds a skew that nothing could keep to.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        if !(1..=MOST_REPLICAS).contains(&self.max_skew) {
            faults.add(&at.field("maxSkew"), format!("must be from 1 to {MOST_REPLICAS}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_term_is_named() {
        let json = r#"{
            "node": {
                "required": [{"matchExpressions": []}, {"matchExpressions": [{"key": "a", "operator": "In"}]}],
                "preferred": [{"weight": 0, "matchExpressions": [{"key": "a", "operator": "Exists"}]}]
            },
            "podAnti": {"preferred": [{"weight": 101, "selector": "app=a", "topologyKey": "kubernetes.io/hostname"}]}
        }"#;
        let affinity: Affinity = serde_json::from_str(json).unwrap();
        let mut faults = Faults::default();
        affinity.check(&Place::root().field("affinity"), &mut faults);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "affinity.node.required[0].matchExpressions",
                "affinity.node.required[1].matchExpressions[0].values",
                "affinity.node.preferred[0].weight",
                "affinity.podAnti.preferred[0].weight",
            ]
        );
    }

    #[test]
    fn spreading_over_nothing_is_refused() {
        let spread: Spread = serde_json::from_str(r#"{"topologyKey":"zone","maxSkew":0}"#).unwrap();
        assert_eq!(spread.when_unsatisfiable, WhenUnsatisfiable::DoNotSchedule);
        let mut faults = Faults::default();
        spread.check(&Place::root(), &mut faults);
        assert_eq!(faults.to_string(), "maxSkew: must be from 1 to 1000000");
    }
}
