//! What stands after a path's `?`: every parameter is known, or refused.

use std::str::FromStr;

use longshore_fleet::{Faults, Place};
use longshore_oci::Query;

use crate::error::Error;

/// Parameters that are being read. What is wrong is gathered, and told by [`Parameters::done`].
pub struct Parameters<'a> {
    query: Query<'a>,
    faults: Faults,
}

impl<'a> Parameters<'a> {
    /// Those of a query, of which these are known.
    pub fn new(text: &'a str, known: &[&str]) -> Self {
        let mut faults = Faults::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            if !known.contains(&name) {
                let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                note(&mut faults, name, format!("is no parameter here; there are {there}"));
            }
        }
        Self { query: Query::new(text), faults }
    }

    /// One that need not be there.
    pub fn optional<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.query.get(name).filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                note(&mut self.faults, name, format!("is {text:?}: {error}"));
                None
            }
        }
    }

    /// Whether it is said, as `name`, `name=true` or `name=false`.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.query.get(name).as_deref() {
            None | Some("false") => false,
            Some("" | "true") => true,
            Some(other) => {
                note(&mut self.faults, name, format!("is {other:?}, and must be true or false"));
                false
            }
        }
    }

    /// Several, with commas between them.
    pub fn list<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Vec<T> {
        let Some(text) = self.query.get(name) else { return Vec::new() };
        let mut values = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.parse() {
                Ok(value) => values.push(value),
                Err(error) => note(&mut self.faults, name, format!("has {part:?}: {error}")),
            }
        }
        values
    }

    /// One can't be so.
    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        note(&mut self.faults, name, message);
    }

    /// What was read, unless something is wrong.
    pub fn done<T>(self, value: T) -> Result<T, Error> {
        Ok(self.faults.or(value)?)
    }
}

fn note(faults: &mut Faults, name: &str, message: impl Into<String>) {
    faults.add(&Place::root().field(&format!("?{name}")), message);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
        let Err(Error::Invalid(faults)) = outcome else { unreachable!("it is refused: {outcome:?}") };
        faults.to_string()
    }

    #[test]
    fn what_is_known_is_read() {
        let mut parameters = Parameters::new("limit=5&follow&kinds=a,b&name=x%20y", &["limit", "follow", "kinds", "name"]);
        let read = (parameters.optional::<u32>("limit"), parameters.flag("follow"), parameters.list::<String>("kinds"));
        assert_eq!(read, (Some(5), true, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(parameters.optional::<String>("name").as_deref(), Some("x y"));
        assert!(parameters.done(()).is_ok());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut parameters = Parameters::new("limit=many&lmit=5&follow=perhaps", &["limit", "follow"]);
        let _: Option<u32> = parameters.optional("limit");
        parameters.flag("follow");
        let told = told(parameters.done(()));
        assert!(told.contains("?lmit: is no parameter here; there are limit, follow"), "{told}");
        assert!(told.contains("?limit: is \"many\"") && told.contains("?follow: is \"perhaps\""), "{told}");
    }
}
