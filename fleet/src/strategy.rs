//! How a workload goes from one revision to the next, and how much of it may be away meanwhile.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::told_of_as;
use crate::{Faults, Place};

/// A number of pods, or a share of how many are wanted: `2`, `25%`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

/// A text is no [`Share`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a share is a whole number of pods, or a percentage such as 25%")]
pub struct InvalidShare;

impl Share {
    /// How many of `whole` that is, rounded down.
    pub fn of_rounded_down(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => u32::try_from(u64::from(whole) * u64::from(percent) / 100).unwrap_or(u32::MAX),
        }
    }

    /// How many of `whole` that is, rounded up.
    pub fn of_rounded_up(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => u32::try_from((u64::from(whole) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX),
        }
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let number = |text: &str| if text.starts_with('+') { Err(InvalidShare) } else { text.parse().map_err(|_| InvalidShare) };
        match text.strip_suffix('%') {
            Some(percent) => Ok(Self::Percent(number(percent)?)),
            None => Ok(Self::Count(number(text)?)),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "{count}"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

/// Reads a [`Share`] from a number, or from a text.
struct ShareVisitor;

impl de::Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number of pods, or a percentage such as \"25%\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Share, E> {
        u32::try_from(number).map(Share::Count).map_err(|_| E::custom(InvalidShare))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

told_of_as!(Share, { "type": ["integer", "string"], "minimum": 0, "description": "a number of pods, or a percentage: `25%`" });

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

/// How new pods take the place of old ones.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Strategy {
    /// In which order.
    #[serde(default, rename = "type")]
    pub kind: StrategyKind,
    /// How many of the wanted pods may be away at once; a percentage is rounded down.
    #[serde(default = "quarter")]
    pub max_unavailable: Share,
    /// How many pods there may be more than are wanted; a percentage is rounded up.
    #[serde(default = "quarter")]
    pub max_surge: Share,
}

/// The order in which pods are replaced.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum StrategyKind {
    /// A few at a time, new ones ready before old ones go.
    #[default]
    RollingUpdate,
    /// All old ones go before new ones come.
    Recreate,
}

const fn quarter() -> Share {
    Share::Percent(25)
}

impl Default for Strategy {
    fn default() -> Self {
        Self { kind: StrategyKind::default(), max_unavailable: quarter(), max_surge: quarter() }
    }
}

/// A [`Strategy`] in numbers, for so many pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leeway {
    /// How many may be away.
    pub max_unavailable: u32,
    /// How many there may be too many.
    pub max_surge: u32,
}

impl Strategy {
    /// What it allows where so many pods are wanted. As in Kubernetes: where neither would let anything happen, one pod may be away.
    pub fn leeway(&self, replicas: u32) -> Leeway {
        if self.kind == StrategyKind::Recreate {
            return Leeway { max_unavailable: replicas, max_surge: 0 };
        }
        let max_surge = self.max_surge.of_rounded_up(replicas);
        let max_unavailable = self.max_unavailable.of_rounded_down(replicas).min(replicas);
        Leeway { max_unavailable: if max_surge == 0 { max_unavailable.max(1) } else { max_unavailable }, max_surge }
    }

    /// Finds what would let nothing happen, and what is more than all.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        let none = |share| matches!(share, Share::Count(0) | Share::Percent(0));
        if self.kind == StrategyKind::RollingUpdate && none(self.max_surge) && none(self.max_unavailable) {
            faults.add(&at.field("maxUnavailable"), "and maxSurge can't both be 0: nothing could ever be replaced");
        }
        if matches!(self.max_unavailable, Share::Percent(percent) if percent > 100) {
            faults.add(&at.field("maxUnavailable"), format!("is {}, more than all", self.max_unavailable));
        }
    }
}

/// How many pods of a workload must not be taken away at once by those who drain nodes or make room: one of the two bounds, or none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisruptionBudget {
    /// How many must be ready afterwards; a percentage is rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<Share>,
    /// How many may be away afterwards; a percentage is rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Share>,
}

impl DisruptionBudget {
    /// How many of `ready` pods may be taken away now, where so many are wanted.
    pub fn allowed(&self, replicas: u32, ready: u32) -> u32 {
        let least = match (self.min_available, self.max_unavailable) {
            (Some(least), _) => least.of_rounded_up(replicas),
            (None, Some(most)) => replicas.saturating_sub(most.of_rounded_up(replicas)),
            (None, None) => 0,
        };
        ready.saturating_sub(least)
    }

    /// Finds both bounds given, and what is more than all.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        if self.min_available.is_some() && self.max_unavailable.is_some() {
            faults.add(at, "has minAvailable and maxUnavailable; one of them is enough");
        }
        for (name, share) in [("minAvailable", self.min_available), ("maxUnavailable", self.max_unavailable)] {
            if let Some(Share::Percent(percent)) = share
                && percent > 100
            {
                faults.add(&at.field(name), format!("is {percent}%, more than all"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(max_unavailable: Share, max_surge: Share) -> Strategy {
        Strategy { kind: StrategyKind::RollingUpdate, max_unavailable, max_surge }
    }

    #[test]
    fn rounds_as_kubernetes_does() {
        use Share::{Count, Percent};
        for (max_unavailable, max_surge, replicas, away, over) in [
            (Percent(25), Percent(25), 4, 1, 1),
            (Percent(25), Percent(25), 3, 0, 1),
            (Percent(25), Percent(25), 1, 0, 1),
            (Percent(25), Percent(25), 10, 2, 3),
            (Count(1), Count(0), 3, 1, 0),
            (Percent(10), Count(0), 3, 1, 0),
            (Count(5), Count(1), 3, 3, 1),
            (Count(0), Percent(1), 3, 0, 1),
            (Percent(25), Percent(25), 0, 1, 0),
            (Percent(100), Percent(200), 3, 3, 6),
        ] {
            let leeway = strategy(max_unavailable, max_surge).leeway(replicas);
            assert_eq!((leeway.max_unavailable, leeway.max_surge), (away, over), "{max_unavailable} {max_surge} of {replicas}");
        }
    }

    #[test]
    fn recreating_takes_all_away_first() {
        let strategy = Strategy { kind: StrategyKind::Recreate, ..Strategy::default() };
        assert_eq!(strategy.leeway(5), Leeway { max_unavailable: 5, max_surge: 0 });
    }

    #[test]
    fn shares_are_numbers_or_percentages() {
        assert_eq!(serde_json::from_str::<Share>("3").unwrap(), Share::Count(3));
        assert_eq!(serde_json::from_str::<Share>("\"25%\"").unwrap(), Share::Percent(25));
        assert_eq!(serde_json::from_str::<Share>("\"3\"").unwrap(), Share::Count(3));
        assert_eq!(serde_json::to_string(&Share::Percent(25)).unwrap(), "\"25%\"");
        for wrong in ["\"a\"", "\"%\"", "\"-1\"", "-1", "\"1.5%\"", "1.5", "\"+1\"", "4294967296", "null"] {
            assert!(serde_json::from_str::<Share>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lets_nothing_happen_is_refused() {
        let mut faults = Faults::default();
        strategy(Share::Count(0), Share::Percent(0)).check(&Place::root().field("strategy"), &mut faults);
        strategy(Share::Percent(101), Share::Percent(0)).check(&Place::root(), &mut faults);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["strategy.maxUnavailable", "maxUnavailable"]);
    }

    #[test]
    fn budgets_keep_so_many() {
        let least = DisruptionBudget { min_available: Some(Share::Percent(50)), max_unavailable: None };
        assert_eq!((least.allowed(5, 5), least.allowed(5, 3), least.allowed(5, 1)), (2, 0, 0));
        let most = DisruptionBudget { min_available: None, max_unavailable: Some(Share::Count(1)) };
        assert_eq!((most.allowed(5, 5), most.allowed(5, 4), most.allowed(0, 0)), (1, 0, 0));
        assert_eq!(DisruptionBudget::default().allowed(5, 5), 5);
    }
}
