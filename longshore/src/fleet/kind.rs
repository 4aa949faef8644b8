use std::{fmt, str::FromStr};

use longshore_fleet::api::EventKind;

/// What there is in a fleet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Deployment,
    Job,
    Pod,
    Node,
    Namespace,
    Operation,
    Event,
}

impl Kind {
    /// As it is told with its number.
    const NAMES: [(Self, &'static str, &'static [&'static str]); 7] = [
        (Self::Deployment, "deployment", &["deployments", "deploy", "dep"]),
        (Self::Job, "job", &["jobs"]),
        (Self::Pod, "pod", &["pods", "po"]),
        (Self::Node, "node", &["nodes", "no"]),
        (Self::Namespace, "namespace", &["namespaces", "ns"]),
        (Self::Operation, "operation", &["operations", "ops", "op"]),
        (Self::Event, "event", &["events", "ev"]),
    ];

    /// In one word, of one.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// As those call it who tell what has happened; nothing has happened to events.
    pub fn of_event(self) -> Option<EventKind> {
        Some(match self {
            Self::Deployment => EventKind::Deployment,
            Self::Job => EventKind::Job,
            Self::Pod => EventKind::Pod,
            Self::Node => EventKind::Node,
            Self::Namespace => EventKind::Namespace,
            Self::Operation => EventKind::Operation,
            Self::Event => return None,
        })
    }

    /// What something has happened to.
    pub fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::Deployment => Self::Deployment,
            EventKind::Job => Self::Job,
            EventKind::Pod => Self::Pod,
            EventKind::Node => Self::Node,
            EventKind::Namespace => Self::Namespace,
            EventKind::Operation => Self::Operation,
        }
    }

    /// Whether things of this kind are in namespaces.
    pub fn is_in_namespaces(self) -> bool {
        matches!(self, Self::Deployment | Self::Job | Self::Pod | Self::Event)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let found = Self::NAMES.iter().find(|(_, name, others)| *name == text || others.contains(&text.as_str()));
        found.map(|(kind, ..)| *kind).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(_, _, others)| others[0]).collect();
            format!("{text:?} is no kind; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What is meant: a kind, and one of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The kind.
    pub kind: Kind,
    /// Its name or id.
    pub name: String,
}

impl Target {
    /// Reads `KIND NAME…` and `KIND/NAME…`; no names with a kind alone.
    pub fn read(words: &[String]) -> Result<(Kind, Vec<Self>), String> {
        let Some((first, rest)) = words.split_first() else { return Err("what is meant? KIND NAME, or KIND/NAME".to_owned()) };
        if !first.contains('/') {
            let kind = first.parse()?;
            let named = rest.iter().map(|name| match name.split_once('/') {
                Some(_) => Err(format!("{name} has a kind of its own, beside {kind}")),
                None => Ok(Self { kind, name: name.clone() }),
            });
            return Ok((kind, named.collect::<Result<_, _>>()?));
        }
        let targets = words.iter().map(|word| match word.split_once('/') {
            Some((kind, name)) if !name.is_empty() => Ok(Self { kind: kind.parse()?, name: name.to_owned() }),
            _ => Err(format!("{word:?} has no form KIND/NAME")),
        });
        let targets: Vec<Self> = targets.collect::<Result<_, _>>()?;
        Ok((targets[0].kind, targets))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        Target::read(&words).map(|(_, targets)| targets.iter().map(|target| format!("{} {}", target.kind, target.name)).collect())
    }

    #[test]
    fn kinds_have_several_names() {
        for text in ["deployment", "deployments", "Deployment", "deploy"] {
            assert_eq!(text.parse(), Ok(Kind::Deployment));
        }
        for text in ["po", "pods", "no", "ns", "op", "events", "jobs"] {
            assert!(text.parse::<Kind>().is_ok(), "{text}");
        }
        let told = "services".parse::<Kind>().expect_err("no kind");
        assert!(told.contains("deployments, jobs, pods, nodes, namespaces, operations, events"), "{told}");
    }

    #[test]
    fn what_is_meant_can_be_said_in_two_ways() {
        assert_eq!(read(&["pods"]), Ok(vec![]));
        assert_eq!(read(&["pod", "a", "b"]).as_deref(), Ok(&["pod a".to_owned(), "pod b".to_owned()][..]));
        assert_eq!(read(&["pod/a", "deploy/b"]).as_deref(), Ok(&["pod a".to_owned(), "deployment b".to_owned()][..]));
        for wrong in [&[][..], &["pod", "deploy/b"], &["pod/a", "b"], &["pod/"], &["thing", "a"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
