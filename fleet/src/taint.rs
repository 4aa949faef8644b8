//! What keeps pods off nodes, and what lets them on all the same (Kubernetes' "Taints and Tolerations").

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LabelKey, LabelValue};

/// What keeps pods off a node, unless they tolerate it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// What it is called.
    pub key: LabelKey,
    /// What more there is to it.
    #[serde(default)]
    pub value: LabelValue,
    /// How much it keeps off.
    pub effect: Effect,
}

/// What a [`Taint`] does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Effect {
    /// No pod comes that does not tolerate it.
    NoSchedule,
    /// Others are chosen where there are any.
    PreferNoSchedule,
    /// No pod comes, and those that are there go.
    NoExecute,
}

impl fmt::Display for Taint {
    /// As `kubectl` writes it: `key=value:Effect`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.as_str().is_empty() {
            write!(formatter, "{}:{:?}", self.key, self.effect)
        } else {
            write!(formatter, "{}={}:{:?}", self.key, self.value, self.effect)
        }
    }
}

/// What lets a pod on a node in spite of its taints.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    /// The taint's key; every key where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<LabelKey>,
    /// How it is compared.
    #[serde(default)]
    pub operator: Comparison,
    /// The taint's value, with `Equal`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub value: LabelValue,
    /// The taint's effect; every effect where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// With `NoExecute`, for how long the pod stays all the same, in seconds; for ever where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<u64>,
}

fn is_empty(value: &LabelValue) -> bool {
    value.as_str().is_empty()
}

/// How a [`Toleration`] compares.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Comparison {
    /// Key and value are the same.
    #[default]
    Equal,
    /// The key is the same.
    Exists,
}

impl Toleration {
    /// Whether it lets a pod on in spite of this taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && self.key.as_ref().is_none_or(|key| *key == taint.key)
            && match self.operator {
                Comparison::Equal => self.key.is_some() && self.value == taint.value,
                Comparison::Exists => true,
            }
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<&'static str> {
        if self.key.is_none() && self.operator == Comparison::Equal {
            Some("without a key the operator is Exists")
        } else if self.operator == Comparison::Exists && !is_empty(&self.value) {
            Some("with Exists there is no value")
        } else if self.toleration_seconds.is_some() && self.effect != Some(Effect::NoExecute) {
            Some("tolerationSeconds goes with the effect NoExecute alone")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerates_what_it_names() {
        let taint = |key: &str, value: &str, effect| Taint { key: key.parse().unwrap(), value: value.parse().unwrap(), effect };
        let read = |json| serde_json::from_str::<Toleration>(json).unwrap();
        let gpu = taint("gpu", "big", Effect::NoSchedule);
        for (json, is_tolerated) in [
            (r#"{"key":"gpu","value":"big"}"#, true),
            (r#"{"key":"gpu","value":"big","effect":"NoSchedule"}"#, true),
            (r#"{"key":"gpu","operator":"Exists"}"#, true),
            (r#"{"operator":"Exists"}"#, true),
            (r#"{"operator":"Exists","effect":"NoExecute"}"#, false),
            (r#"{"key":"gpu","value":"small"}"#, false),
            (r#"{"key":"gpu"}"#, false),
            (r#"{"key":"cpu","operator":"Exists"}"#, false),
            (r"{}", false),
        ] {
            assert_eq!(read(json).tolerates(&gpu), is_tolerated, "{json}");
        }
        assert!(read(r#"{"key":"gpu"}"#).tolerates(&taint("gpu", "", Effect::NoExecute)));
    }

    #[test]
    fn says_what_is_wrong() {
        let fault = |json| serde_json::from_str::<Toleration>(json).unwrap().fault();
        assert!(fault("{}").unwrap().contains("Exists"));
        assert!(fault(r#"{"key":"a","operator":"Exists","value":"b"}"#).unwrap().contains("no value"));
        assert!(fault(r#"{"key":"a","tolerationSeconds":5}"#).unwrap().contains("NoExecute"));
        assert_eq!(fault(r#"{"key":"a","tolerationSeconds":5,"effect":"NoExecute"}"#), None);
    }

    #[test]
    fn is_written_as_operators_know_it() {
        let taint: Taint = serde_json::from_str(r#"{"key":"gpu","value":"big","effect":"NoSchedule"}"#).unwrap();
        assert_eq!(taint.to_string(), "gpu=big:NoSchedule");
        let taint: Taint = serde_json::from_str(r#"{"key":"gpu","effect":"NoExecute"}"#).unwrap();
        assert_eq!(taint.to_string(), "gpu:NoExecute");
    }
}
