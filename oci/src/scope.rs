use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a token is asked for, and what it grants: actions on something of a type, written `repository:team/app:pull,push` (Docker
/// registry token specification, "Resource Scope Grammar").
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Scope {
    /// `repository`, `registry`, or `namespace`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name, which part of the registry, or the namespace's name; `*` for all namespaces.
    pub name: String,
    /// `pull`, `push`, `delete`; of a namespace `view`, `rollback`, `deploy`, `admin`; or `*` for all.
    pub actions: Vec<String>,
}

/// A text is no scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a scope is written type:name:action,action")]
pub struct InvalidScope;

impl Scope {
    /// The type of scopes on a repository.
    pub const REPOSITORY: &'static str = "repository";
    /// The type of scopes on a part of the registry itself.
    pub const REGISTRY: &'static str = "registry";
    /// The type of scopes on a namespace of the fleet.
    pub const NAMESPACE: &'static str = "namespace";
    /// The action that stands for all.
    pub const ALL: &'static str = "*";

    /// A scope of these actions.
    pub fn new(kind: &str, name: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self { kind: kind.to_owned(), name: name.to_owned(), actions }
    }

    /// Whether it holds the action on what has this type and name.
    pub fn covers(&self, kind: &str, name: &str, action: &str) -> bool {
        self.kind == kind && self.name == name && self.actions.iter().any(|held| held == action || held == Self::ALL)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// A name may have colons, so the first and the last part it off.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidScope)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(InvalidScope)?;
        let actions: Vec<&str> = actions.split(',').filter(|action| !action.is_empty()).collect();
        if kind.is_empty() || name.is_empty() { Err(InvalidScope) } else { Ok(Self::new(kind, name, &actions)) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_write() {
        let scope: Scope = "repository:team/app:pull,push".parse().unwrap();
        assert_eq!(scope, Scope::new("repository", "team/app", &["pull", "push"]));
        assert_eq!(scope.to_string(), "repository:team/app:pull,push");
        assert_eq!("registry:catalog:*".parse(), Ok(Scope::new("registry", "catalog", &["*"])));
        assert_eq!("repository:host:5000/app:pull".parse(), Ok(Scope::new("repository", "host:5000/app", &["pull"])));
        assert_eq!("repository:app:".parse(), Ok(Scope::new("repository", "app", &[])));
        for text in ["", "repository", "repository:app", ":app:pull", "repository::pull"] {
            assert_eq!(text.parse::<Scope>(), Err(InvalidScope), "{text}");
        }
    }

    #[test]
    fn covers_what_it_names_alone() {
        let scope = Scope::new("repository", "app", &["pull"]);
        assert!(scope.covers("repository", "app", "pull"));
        for (kind, name, action) in [("repository", "app", "push"), ("repository", "app2", "pull"), ("registry", "app", "pull")] {
            assert!(!scope.covers(kind, name, action));
        }
        assert!(Scope::new("repository", "app", &["*"]).covers("repository", "app", "delete"));
    }
}
