//! Pods that run until they have done their work.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{
    Class, Faults, MOST_REPLICAS, Name, Place, Template,
    deployment::{check_priority, default_namespace},
    template,
};

/// What is wanted: so many pods of a template that end well.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// How much work there is, and how it is gone about.
    #[serde(flatten)]
    pub work: Work,
    /// What its pods are made from.
    #[serde(flatten)]
    pub template: Template,
}

/// What of a job is not its pods'.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Work {
    /// Where it is.
    #[serde(default = "default_namespace")]
    pub namespace: Name,
    /// What it is called there.
    pub name: Name,
    /// How many pods must end well.
    #[serde(default = "one")]
    pub completions: u32,
    /// How many run at once, at most.
    #[serde(default = "one")]
    pub parallelism: u32,
    /// How many pods may fail before the job has.
    #[serde(default = "six")]
    pub backoff_limit: u32,
    /// How long it may take in all, in seconds; as long as it likes where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<u32>,
    /// How long it is kept once it has ended, in seconds; until somebody deletes it where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<u32>,
    /// Whether those that run at once start together, or none of them.
    #[serde(default)]
    pub gang: bool,
    /// Whether people wait for it.
    #[serde(default = "batch")]
    pub class: Class,
    /// Of two that wait, the one with more goes first, and may take the room of one with less.
    #[serde(default)]
    pub priority: i32,
}

const fn one() -> u32 {
    1
}

const fn six() -> u32 {
    6
}

const fn batch() -> Class {
    Class::Batch
}

impl<'de> Deserialize<'de> for JobSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JobSpec {
    /// Reads what a person has written. Every field that has the wrong form is in the faults; or else each that makes no sense.
    pub fn read(value: Value) -> Result<Self, Faults> {
        let (work, template) = template::read_with_owner(value, "a job is an object", Work::check)?;
        Ok(Self { work, template })
    }
}

impl Work {
    fn check(&self, faults: &mut Faults) {
        let root = Place::root();
        for (name, count) in [("completions", self.completions), ("parallelism", self.parallelism)] {
            if !(1..=MOST_REPLICAS).contains(&count) {
                faults.add(&root.field(name), format!("must be from 1 to {MOST_REPLICAS}"));
            }
        }
        check_priority(self.priority, &root, faults);
        if self.active_deadline_seconds == Some(0) {
            faults.add(&root.field("activeDeadlineSeconds"), "must be at least 1");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_least_that_makes_one() {
        let spec = JobSpec::read(json!({"name": "sum", "image": "sum"})).unwrap();
        let Work { completions, parallelism, backoff_limit, class, gang, .. } = spec.work.clone();
        assert_eq!((completions, parallelism, backoff_limit, class, gang), (1, 1, 6, Class::Batch, false));
        assert_eq!(JobSpec::read(serde_json::to_value(&spec).unwrap()), Ok(spec));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let faults = JobSpec::read(json!({
            "name": "sum", "completions": 0, "parallelism": 2_000_000, "activeDeadlineSeconds": 0, "replicas": 1, "env": [{"name": "="}],
        }))
        .unwrap_err();
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["image", "replicas"], "form before sense: {faults}");
        let faults = JobSpec::read(json!({
            "name": "sum", "image": "sum", "completions": 0, "parallelism": 2_000_000, "activeDeadlineSeconds": 0, "env": [{"name": "="}],
            "priority": 1_000_000_001,
        }))
        .unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["completions", "parallelism", "priority", "activeDeadlineSeconds", "env[0].name"]);
    }
}
