//! What may be done in a namespace.

use longshore_service::choice;

choice! {
    /// Something that may be done in a namespace. Who has it on the namespace `*` has it on all of them, and on what is in none.
    pub enum Right {
        /// Look at it.
        View = "view",
        /// Change the number of pods, and go back to what ran before; and look.
        Rollback = "rollback",
        /// Change what runs, and have images fetched ahead; and all of `rollback`.
        Deploy = "deploy",
        /// All of these; on `*`, keep namespaces, nodes and the tokens that let nodes in, and read the audit log, too.
        Admin = "admin",
    }
}

impl Right {
    /// It as scopes name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Rollback => "rollback",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    /// What it lets do, after `may`.
    pub const fn told(self) -> &'static str {
        match self {
            Self::View => "look at what is",
            Self::Rollback => "scale or roll back what is",
            Self::Deploy => "change what runs",
            Self::Admin => "administer what is",
        }
    }

    /// Every one, the least first.
    pub const ALL: [Self; 4] = [Self::View, Self::Rollback, Self::Deploy, Self::Admin];

    /// Whether who holds it may do this.
    pub const fn implies(self, other: Self) -> bool {
        self as u8 >= other as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_implies_those_before() {
        for (index, right) in Right::ALL.iter().enumerate() {
            for (other_index, other) in Right::ALL.iter().enumerate() {
                assert_eq!(right.implies(*other), index >= other_index, "{right} {other}");
            }
            assert_eq!(right.as_str().parse(), Ok(*right));
        }
    }
}
