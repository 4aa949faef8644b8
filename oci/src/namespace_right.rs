use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Something that may be done in a namespace of the fleet. The registry grants it and writes it into tokens; the orchestrator asks for it.
/// Who has it on the namespace `*` has it on all of them, and on what is in none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceRight {
    /// Look at it.
    View,
    /// Change the number of pods, and go back to what ran before; and look.
    Rollback,
    /// Change what runs, and have images fetched ahead; and all of `rollback`.
    Deploy,
    /// All of these; on `*`, keep namespaces, nodes and the tokens that let nodes in, and read the audit log of the fleet, too.
    Admin,
}

/// A text is no right on a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a right on namespaces is view, rollback, deploy or admin")]
pub struct InvalidNamespaceRight;

impl NamespaceRight {
    /// Every one, the least first.
    pub const ALL: [Self; 4] = [Self::View, Self::Rollback, Self::Deploy, Self::Admin];

    /// It as scopes name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Rollback => "rollback",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    /// Whether who holds it may do this.
    pub const fn implies(self, other: Self) -> bool {
        self as u8 >= other as u8
    }
}

impl fmt::Display for NamespaceRight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for NamespaceRight {
    type Err = InvalidNamespaceRight;

    fn from_str(text: &str) -> Result<Self, InvalidNamespaceRight> {
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or(InvalidNamespaceRight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_implies_those_before() {
        for (index, right) in NamespaceRight::ALL.iter().enumerate() {
            for (other_index, other) in NamespaceRight::ALL.iter().enumerate() {
                assert_eq!(right.implies(*other), index >= other_index, "{right} {other}");
            }
            assert_eq!(right.as_str().parse(), Ok(*right));
            assert_eq!(serde_json::to_value(right).expect("JSON"), right.as_str());
        }
        assert_eq!("Deploy".parse::<NamespaceRight>(), Err(InvalidNamespaceRight));
    }
}
