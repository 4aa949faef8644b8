//! A number of equal pods that are kept running.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{DisruptionBudget, Faults, Name, Place, Strategy, Template, template};

/// What is wanted: so many pods of a template, and how they are replaced.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// Whose it is, and how it is kept.
    #[serde(flatten)]
    pub upkeep: Upkeep,
    /// What its pods are made from.
    #[serde(flatten)]
    pub template: Template,
}

/// What of a deployment is not its pods'.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upkeep {
    /// Where it is.
    #[serde(default = "default_namespace")]
    pub namespace: Name,
    /// What it is called there.
    pub name: Name,
    /// How many pods are wanted.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Whether people wait for it.
    #[serde(default)]
    pub class: Class,
    /// Of two that wait, the one with more goes first, and may take the room of one with less.
    #[serde(default)]
    pub priority: i32,
    /// How new pods take the place of old ones.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many pods those who drain nodes must leave.
    #[serde(default)]
    pub disruption: DisruptionBudget,
    /// How long a pod must have been ready to count, in seconds.
    #[serde(default)]
    pub min_ready_seconds: u32,
    /// How long a rollout may stand still before it is called stuck, in seconds.
    #[serde(default = "ten_minutes")]
    pub progress_deadline_seconds: u32,
    /// How many revisions are kept to go back to.
    #[serde(default = "ten")]
    pub revision_history_limit: u32,
}

/// Whether people wait for it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// They do: it goes first, and is spread.
    #[default]
    Online,
    /// They don't: it goes after, and is packed.
    Batch,
}

const fn one() -> u32 {
    1
}

const fn ten() -> u32 {
    10
}

const fn ten_minutes() -> u32 {
    600
}

/// Where things are that name no namespace.
pub(crate) fn default_namespace() -> Name {
    "default".parse().unwrap_or_else(|_| unreachable!("it is a label"))
}

/// The most pods that one workload can want.
pub const MOST_REPLICAS: u32 = 1_000_000;

/// The highest priority, and less nothing the lowest (Kubernetes' bound for those that users define).
pub const MOST_PRIORITY: i32 = 1_000_000_000;

/// Finds a priority that is none.
pub(crate) fn check_priority(priority: i32, root: &Place<'_>, faults: &mut Faults) {
    if !(-MOST_PRIORITY..=MOST_PRIORITY).contains(&priority) {
        faults.add(&root.field("priority"), format!("is {priority}, and must be from -{MOST_PRIORITY} to {MOST_PRIORITY}"));
    }
}

impl<'de> Deserialize<'de> for DeploymentSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl DeploymentSpec {
    /// Reads what a person has written. Every field that has the wrong form is in the faults; or else each that makes no sense.
    pub fn read(value: Value) -> Result<Self, Faults> {
        let (upkeep, template) = template::read_with_owner(value, "a deployment is an object", Upkeep::check)?;
        Ok(Self { upkeep, template })
    }
}

impl Upkeep {
    fn check(&self, faults: &mut Faults) {
        let root = Place::root();
        if self.replicas > MOST_REPLICAS {
            faults.add(&root.field("replicas"), format!("is {}, more than {MOST_REPLICAS}", self.replicas));
        }
        check_priority(self.priority, &root, faults);
        self.strategy.check(&root.field("strategy"), faults);
        self.disruption.check(&root.field("disruption"), faults);
        if self.min_ready_seconds >= self.progress_deadline_seconds {
            faults.add(&root.field("progressDeadlineSeconds"), "must be more than minReadySeconds");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::TEMPLATE_FIELDS;

    #[test]
    fn the_least_that_makes_one() {
        let spec = DeploymentSpec::read(json!({"name": "hello", "image": "localhost:5000/hello:1"})).unwrap();
        assert_eq!(spec.upkeep.namespace.as_str(), "default");
        assert_eq!((spec.upkeep.replicas, spec.upkeep.class, spec.upkeep.priority), (1, Class::Online, 0));
        assert_eq!(spec.upkeep.strategy.leeway(4).max_surge, 1);
    }

    #[test]
    fn every_field_of_both_halves_is_checked() {
        let faults = DeploymentSpec::read(json!({
            "namespace": "Default",
            "replicas": 2_000_000,
            "image": "localhost:5000/hello:1",
            "resources": {"requests": {"cpu": "1", "memory": "x"}},
            "strategy": {"maxSurge": 0, "maxUnavailable": "half"},
            "priorty": 5,
            "comand": ["a"]
        }))
        .unwrap_err();
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["comand", "name", "namespace", "priorty", "resources.requests.memory", "strategy.maxUnavailable"],
            "{faults}"
        );
    }

    #[test]
    fn what_is_read_is_what_is_shown() {
        let written = json!({
            "name": "hello",
            "image": "localhost:5000/hello:1",
            "replicas": 3,
            "class": "batch",
            "command": ["a"],
            "args": ["b"],
            "workingDir": "/",
            "env": [{"name": "A", "value": "b"}],
            "ports": [{"containerPort": 80}],
            "labels": {"app": "hello"},
            "nodeSelector": {"disk": "ssd"},
            "spread": [{"topologyKey": "zone", "maxSkew": 1}],
            "tolerations": [{"operator": "Exists"}],
            "hostPaths": [{"path": "/a", "mountPath": "/b"}],
        });
        let spec = DeploymentSpec::read(written).unwrap();
        let shown = serde_json::to_value(&spec).unwrap();
        assert_eq!(DeploymentSpec::read(shown.clone()), Ok(spec.clone()));
        let template = serde_json::to_value(&spec.template).unwrap();
        let fields: Vec<&str> = template.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = TEMPLATE_FIELDS.to_vec();
        known.sort_unstable();
        let mut sorted = fields.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, known, "every field of a template is known as one");
    }

    #[test]
    fn a_budget_and_a_deadline_make_sense() {
        let faults = DeploymentSpec::read(json!({
            "name": "hello",
            "image": "hello",
            "replicas": 2_000_000,
            "priority": i32::MIN,
            "disruption": {"minAvailable": "150%", "maxUnavailable": 1},
            "minReadySeconds": 600
        }))
        .unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["replicas", "priority", "disruption", "disruption.minAvailable", "progressDeadlineSeconds"]);
    }
}
