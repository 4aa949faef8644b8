//! Labels, and what selects by them (Kubernetes' "Labels and Selectors").

use std::{borrow::Borrow, collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::is_subdomain,
    text::{as_text, is_text},
};

/// The key of a label or of a taint: a name of up to 63 letters, digits, `-`, `_` and `.`, perhaps behind a name of DNS and a slash.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LabelKey(String);

/// The value of a label or of a taint: up to 63 letters, digits, `-`, `_` and `.`; it may be empty.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LabelValue(String);

/// A text is no part of a label.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLabel {
    /// It is no key.
    #[error(
        "a key is 1 to 63 letters, digits, -, _ and ., beginning and ending with a letter or a digit, perhaps behind a DNS name and /"
    )]
    Key,
    /// It is no value.
    #[error("a value is up to 63 letters, digits, -, _ and ., beginning and ending with a letter or a digit")]
    Value,
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
}

impl FromStr for LabelKey {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let is_key = match text.split_once('/') {
            Some((prefix, word)) => is_subdomain(prefix) && is_word(word),
            None => is_word(text),
        };
        if is_key { Ok(Self(text.to_owned())) } else { Err(InvalidLabel::Key) }
    }
}

impl FromStr for LabelValue {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        if text.is_empty() || is_word(text) { Ok(Self(text.to_owned())) } else { Err(InvalidLabel::Value) }
    }
}

is_text!(LabelKey, "a name of up to 63 letters, digits, -, _ and ., perhaps behind a name of DNS and /");
is_text!(LabelValue, "up to 63 letters, digits, -, _ and .; it may be empty");

impl Borrow<str> for LabelKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Labels by their keys.
pub type Labels = BTreeMap<LabelKey, LabelValue>;

/// One demand on labels.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// The label's key.
    pub key: LabelKey,
    /// What is demanded of it.
    pub operator: Operator,
    /// Compared with: one or more for `In` and `NotIn`, one whole number for `Gt` and `Lt`, none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<LabelValue>,
}

/// What a [`Requirement`] demands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Operator {
    /// The label is there, and has one of the values.
    In,
    /// The label is not there, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label is there, and a whole number greater than the value.
    Gt,
    /// The label is there, and a whole number less than the value.
    Lt,
}

impl Requirement {
    /// Whether these labels meet it.
    pub fn is_met_by(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let number = |value: &LabelValue| value.as_str().parse::<i64>().ok();
        let bound = || self.values.first().and_then(number);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => value.and_then(number).zip(bound()).is_some_and(|(value, bound)| value > bound),
            Operator::Lt => value.and_then(number).zip(bound()).is_some_and(|(value, bound)| value < bound),
        }
    }

    /// What is wrong with the values, for this operator.
    pub fn fault(&self) -> Option<&'static str> {
        match self.operator {
            Operator::In | Operator::NotIn if self.values.is_empty() => Some("In and NotIn need at least one value"),
            Operator::Exists | Operator::DoesNotExist if !self.values.is_empty() => {
                Some("Exists and DoesNotExist take no values")
            }
            Operator::Gt | Operator::Lt if self.values.len() != 1 || self.values[0].as_str().parse::<i64>().is_err() => {
                Some("Gt and Lt take one whole number")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Requirement {
    /// As a selector is written: `zone=a`, `disk in (ssd,nvme)`, `!gpu`, `cores>4`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values: Vec<&str> = self.values.iter().map(LabelValue::as_str).collect();
        match (self.operator, values.as_slice()) {
            (Operator::In, [value]) => write!(formatter, "{key}={value}"),
            (Operator::NotIn, [value]) => write!(formatter, "{key}!={value}"),
            (Operator::In, values) => write!(formatter, "{key} in ({})", values.join(",")),
            (Operator::NotIn, values) => write!(formatter, "{key} notin ({})", values.join(",")),
            (Operator::Exists, _) => write!(formatter, "{key}"),
            (Operator::DoesNotExist, _) => write!(formatter, "!{key}"),
            (Operator::Gt, values) => write!(formatter, "{key}>{}", values.join(",")),
            (Operator::Lt, values) => write!(formatter, "{key}<{}", values.join(",")),
        }
    }
}

/// Demands on labels, all of which must be met; none at all is met by everything.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Selector(pub Vec<Requirement>);

/// A text is no selector.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSelector {
    /// A demand has no form that is known.
    #[error("`{0}` is none of KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY, !KEY, KEY>N, KEY<N")]
    Form(String),
    /// A key or a value is none.
    #[error("in `{0}`: {1}")]
    Label(String, InvalidLabel),
    /// The values don't go with the operator.
    #[error("in `{0}`: {1}")]
    Values(String, &'static str),
}

impl Selector {
    /// Whether these labels meet every demand.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.is_met_by(labels))
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    /// As `kubectl` takes it: demands with commas between them.
    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let mut requirements = Vec::new();
        for demand in demands(text) {
            requirements.push(requirement(demand)?);
        }
        Ok(Self(requirements))
    }
}

/// The demands of a selector: at the commas that are not in brackets.
fn demands(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|demand| !demand.is_empty())
}

fn requirement(demand: &str) -> Result<Requirement, InvalidSelector> {
    let invalid = |error| InvalidSelector::Label(demand.to_owned(), error);
    let (key, operator, values) = parts(demand).ok_or_else(|| InvalidSelector::Form(demand.to_owned()))?;
    let values: Result<Vec<LabelValue>, InvalidLabel> = values.into_iter().map(str::parse).collect();
    let requirement = Requirement { key: key.parse().map_err(invalid)?, operator, values: values.map_err(invalid)? };
    match requirement.fault() {
        Some(fault) => Err(InvalidSelector::Values(demand.to_owned(), fault)),
        None => Ok(requirement),
    }
}

/// A demand's key, operator and values; `None` where brackets are missing.
fn parts(demand: &str) -> Option<(&str, Operator, Vec<&str>)> {
    if let Some(key) = demand.strip_prefix('!') {
        return Some((key.trim(), Operator::DoesNotExist, Vec::new()));
    }
    for (word, operator) in [(" notin ", Operator::NotIn), (" in ", Operator::In)] {
        if let Some((key, values)) = demand.split_once(word) {
            let inner = values.trim().strip_prefix('(')?.strip_suffix(')')?;
            return Some((key.trim(), operator, inner.split(',').map(str::trim).collect()));
        }
    }
    let signs = [("!=", Operator::NotIn), ("==", Operator::In), ("=", Operator::In), (">", Operator::Gt), ("<", Operator::Lt)];
    for (sign, operator) in signs {
        if let Some((key, value)) = demand.split_once(sign) {
            return Some((key.trim(), operator, vec![value.trim()]));
        }
    }
    Some((demand, Operator::Exists, Vec::new()))
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let demands: Vec<String> = self.0.iter().map(Requirement::to_string).collect();
        formatter.write_str(&demands.join(","))
    }
}

as_text!(Selector, "demands with commas between them: `zone=a,disk in (ssd,nvme),!gpu`");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn keys_and_values_are_those_of_kubernetes() {
        for key in ["a", "Zone", "topology.kubernetes.io/zone", "a_b.c-d"] {
            assert!(key.parse::<LabelKey>().is_ok(), "{key}");
        }
        for key in ["", "/a", "a/", "a/b/c", "-a", "a-", "A.b/c", &"x".repeat(64)] {
            assert_eq!(key.parse::<LabelKey>(), Err(InvalidLabel::Key), "{key}");
        }
        assert!("".parse::<LabelValue>().is_ok());
        assert_eq!("a b".parse::<LabelValue>(), Err(InvalidLabel::Value));
    }

    #[test]
    fn demands_are_met_or_not() {
        let node = labels(&[("zone", "a"), ("cores", "8"), ("disk", "ssd")]);
        for met in [
            "",
            "zone=a",
            "zone==a",
            "zone!=b",
            "gpu!=big",
            "disk in (ssd, nvme)",
            "disk notin (hdd)",
            "gpu notin (big)",
            "zone",
            "!gpu",
            "cores>4",
            "cores<9",
            "zone=a,disk in (ssd,nvme),!gpu",
        ] {
            assert!(met.parse::<Selector>().unwrap().matches(&node), "{met}");
        }
        for unmet in [
            "zone=b",
            "zone!=a",
            "gpu=",
            "disk in (hdd)",
            "disk notin (ssd)",
            "gpu",
            "!zone",
            "cores>8",
            "cores<8",
            "zone>1",
            "gpu<1",
        ] {
            assert!(!unmet.parse::<Selector>().unwrap().matches(&node), "{unmet}");
        }
    }

    #[test]
    fn a_wrong_demand_is_named() {
        for (text, words) in [
            ("zone=a,disk in ssd", "`disk in ssd` is none of"),
            ("a b", "in `a b`: a key"),
            ("zone=a b", "in `zone=a b`: a value"),
            ("cores>many", "Gt and Lt take one whole number"),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(keys in prop::collection::vec(("[a-z]{1,5}", "[a-z0-9]{1,5}", 0..8_usize), 0..5)) {
            let forms = |key: &str, value: &str, form: usize| match form {
                0 => format!("{key}={value}"),
                1 => format!("{key}!={value}"),
                2 => format!("{key} in ({value},x)"),
                3 => format!("{key} notin ({value},x)"),
                4 => key.to_owned(),
                5 => format!("!{key}"),
                6 => format!("{key}>7"),
                _ => format!("{key}<7"),
            };
            let text: Vec<String> = keys.iter().map(|(key, value, form)| forms(key, value, *form)).collect();
            let text = text.join(",");
            prop_assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = text.parse::<Selector>();
        }
    }
}
