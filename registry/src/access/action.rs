use std::fmt;

use longshore_service::choice;
use serde::{Deserialize, Serialize};

choice! {
    /// Something that may be done with a repository.
    #[derive(Deserialize, Ord, PartialOrd, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Action {
        /// Read it.
        Pull = "pull",
        /// Add to it, and move its tags; and pull.
        Push = "push",
        /// Remove from it; and pull.
        Delete = "delete",
        /// Add signatures and other artifacts about what is in it; and pull, what is not signed yet too.
        Sign = "sign",
        /// All of these; on every repository, keep accounts, issuers, roles and policies, read the audit log, and do all that the fleet's
        /// orchestrator can, in all its namespaces, too.
        Admin = "admin",
    }
}

const ALL: [Action; 5] = [Action::Pull, Action::Push, Action::Delete, Action::Sign, Action::Admin];

/// Several actions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Actions(u8);

impl Actions {
    /// Those written so, parted by commas; one that is none is the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(|action| action.parse::<Action>().map_err(|error| format!("{action:?}: {error}"))).collect()
    }

    /// Whether this is one of them.
    pub fn has(self, action: Action) -> bool {
        self.0 & bit(action) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Them, and what they imply.
    pub fn implied(self) -> Self {
        if self.has(Action::Admin) {
            ALL.into_iter().collect()
        } else if self.is_empty() {
            self
        } else {
            Self(self.0 | bit(Action::Pull))
        }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        ALL.into_iter().filter(move |action| self.has(*action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |bits, action| bits | bit(action)))
    }
}

impl From<Action> for Actions {
    fn from(action: Action) -> Self {
        Self(bit(action))
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{action}")?;
        }
        Ok(())
    }
}

fn bit(action: Action) -> u8 {
    1 << (action as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let actions = Actions::parse("push,pull").unwrap();
        assert_eq!(actions.to_string(), "pull,push");
        assert_eq!(Actions::parse(&actions.to_string()), Ok(actions));
        for text in ["", "pull,", "fly", "Pull"] {
            assert!(Actions::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whatever_may_be_done_implies_a_pull() {
        assert_eq!(Actions::parse("push").unwrap().implied().to_string(), "pull,push");
        assert_eq!(Actions::parse("sign").unwrap().implied().to_string(), "pull,sign");
        assert_eq!(Actions::parse("admin").unwrap().implied().to_string(), "pull,push,delete,sign,admin");
        assert_eq!(Actions::default().implied().to_string(), "");
    }
}
