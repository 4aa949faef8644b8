//! What is wrong with a document: every field that is, at once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One field, and what is wrong with it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Fault {
    /// Where: `probes.readiness.http.port`, `env[2].name`; empty for the whole.
    pub field: String,
    /// What, as a sentence goes on after the field: `is 2, more than the limit of 1`.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(formatter, "{}", self.message)
        } else {
            write!(formatter, "{}: {}", self.field, self.message)
        }
    }
}

/// The faults of one document, at most [`Faults::MOST`] of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize, thiserror::Error)]
#[error("{}", self.0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// How many are told of at once.
    pub const MOST: usize = 64;

    /// Adds one; nothing once there are so many, or where one of this field is known: the first is the cause.
    pub fn add(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.add_at(place.to_string(), message.into());
    }

    pub(crate) fn add_at(&mut self, field: String, message: String) {
        if self.0.len() < Self::MOST && !self.0.iter().any(|fault| fault.field == field) {
            self.0.push(Fault { field, message });
        }
    }

    /// Whether no more are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// What was found right, unless something is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// A place in a document, by the fields and positions that lead to it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

impl Place<'_> {
    /// The whole document.
    pub const fn root() -> Place<'static> {
        Place { above: None, step: Step::Root }
    }

    /// A field of what is here.
    pub fn field<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place { above: Some(self), step: Step::Field(name) }
    }

    /// An item of the list that is here.
    pub fn item(&self, index: usize) -> Place<'_> {
        Place { above: Some(self), step: Step::Item(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(formatter)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if self.above.is_some_and(|above| matches!(above.step, Step::Root)) => formatter.write_str(name),
            Step::Field(name) => write!(formatter, ".{name}"),
            Step::Item(index) => write!(formatter, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_people_write_them() {
        let root = Place::root();
        let env = root.field("env");
        let item = env.item(2);
        assert_eq!(item.field("name").to_string(), "env[2].name");
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn a_field_is_named_once_and_not_without_end() {
        let mut faults = Faults::default();
        let root = Place::root();
        faults.add(&root.field("a"), "is wrong");
        faults.add(&root.field("a"), "is wrong again");
        assert_eq!(faults.to_string(), "a: is wrong");
        for index in 0..100 {
            faults.add(&root.item(index), "is wrong");
        }
        assert_eq!(faults.iter().count(), Faults::MOST);
        assert!(Faults::default().or(7) == Ok(7) && faults.or(7).is_err());
    }
}
