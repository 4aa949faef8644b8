use std::fmt;

use jiff::{SignedDuration, Timestamp};
use longshore_service::config::Duration;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::pattern::TextPattern;
use crate::signature::Refuted;

/// How far ahead of this clock a time in a predicate may be.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What a field of a predicate must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The way to it: `/` and a member's name or an element's number, again and again; `*` for each there is.
    field: String,
    #[serde(flatten)]
    test: Test,
}

/// A test of the values that a field's way leads to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Test {
    /// There is one, and each is this.
    Equals(Value),
    /// None is this.
    Not(Value),
    /// There is one, and each is a text that the pattern covers.
    Matches(TextPattern),
    /// There is one, and each is a number of at most this.
    AtMost(f64),
    /// There is one, and each is a time that is not longer ago.
    NewerThan(#[serde(deserialize_with = "duration")] Duration),
    /// There is one, or none.
    Exists(bool),
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

impl Condition {
    /// Whether a predicate is so now. How long what only the time can change stays so is kept in `until`.
    pub(super) fn check(&self, predicate: &Value, now: Timestamp, until: &mut Option<Timestamp>) -> Result<(), Refuted> {
        let mut values = Vec::new();
        let way: Vec<&str> = self.field[1..].split('/').collect();
        collect(predicate, &way, &mut values);
        let each = |test: &dyn Fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
        let is_so = match &self.test {
            Test::Equals(expected) => each(&|value| is_equal(value, expected)),
            Test::Not(unwanted) => {
                Self::can_be_empty(predicate, &way, &values) && !values.iter().any(|value| is_equal(value, unwanted))
            }
            Test::Matches(pattern) => each(&|value| value.as_str().is_some_and(|text| pattern.covers(text))),
            Test::AtMost(limit) => each(&|value| value.as_f64().is_some_and(|number| number <= *limit)),
            Test::NewerThan(age) => {
                let age = SignedDuration::try_from(age.get()).unwrap_or(SignedDuration::MAX);
                let latest = now.saturating_add(MOST_AHEAD).unwrap_or(now);
                let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok().filter(|time| *time <= latest);
                let end = |value: &Value| time(value)?.checked_add(age).ok();
                let ends: Option<Vec<Timestamp>> = values.iter().map(|value| end(value)).collect();
                let first_end = ends.and_then(|ends| ends.into_iter().min()).filter(|end| now < *end);
                if let Some(end) = first_end {
                    *until = Some(until.map_or(end, |until| until.min(end)));
                }
                first_end.is_some()
            }
            Test::Exists(expected) => values.is_empty() != *expected,
        };
        if is_so { Ok(()) } else { Err(Refuted::Predicate(format!("not {self}"))) }
    }

    /// Whether there may be no value: where there are some, or where what would hold each of them is there.
    fn can_be_empty(predicate: &Value, way: &[&str], values: &[&Value]) -> bool {
        let Some(first_star) = way.iter().position(|step| *step == "*") else { return !values.is_empty() };
        let mut holders = Vec::new();
        collect(predicate, &way[..first_star], &mut holders);
        !holders.is_empty()
    }

    /// What makes no sense in it.
    pub(super) fn problem(&self) -> Option<String> {
        let Self { field, test } = self;
        let is_date = |value: &Value| value.is_object();
        match test {
            _ if !field.starts_with('/') => Some(format!("the field {field:?} must begin with /")),
            Test::Equals(value) | Test::Not(value) if is_date(value) => {
                Some(format!("the field {field:?} is compared with a table or a date; times are texts in JSON"))
            }
            Test::AtMost(limit) if limit.is_nan() => Some(format!("the field {field:?} is compared with nan")),
            _ => None,
        }
    }
}

/// Whether two values are the same; 3 is 3.0.
fn is_equal(value: &Value, other: &Value) -> bool {
    match (value.as_f64(), other.as_f64()) {
        (Some(value), Some(other)) => value.total_cmp(&other).is_eq(),
        _ => value == other,
    }
}

/// The values that a way leads to.
fn collect<'a>(value: &'a Value, way: &[&str], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = way.split_first() else {
        found.push(value);
        return;
    };
    match (value, *step) {
        (Value::Object(members), "*") => members.values().for_each(|member| collect(member, rest, found)),
        (Value::Array(elements), "*") => elements.iter().for_each(|element| collect(element, rest, found)),
        // As RFC 6901 writes what would part names.
        (Value::Object(members), name) => {
            let member = members.get(&name.replace("~1", "/").replace("~0", "~"));
            if let Some(member) = member {
                collect(member, rest, found);
            }
        }
        (Value::Array(elements), number) => {
            let element = number.parse::<usize>().ok().and_then(|number| elements.get(number));
            if let Some(element) = element {
                collect(element, rest, found);
            }
        }
        _ => {}
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.field)?;
        match &self.test {
            Test::Equals(value) => write!(formatter, "is {value}"),
            Test::Not(value) => write!(formatter, "is nowhere {value}"),
            Test::Matches(pattern) => write!(formatter, "is like {pattern}"),
            Test::AtMost(limit) => write!(formatter, "is at most {limit}"),
            Test::NewerThan(age) => write!(formatter, "is newer than {age}"),
            Test::Exists(true) => formatter.write_str("is there"),
            Test::Exists(false) => formatter.write_str("is not there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(condition: &str, predicate: &Value) -> (bool, Option<Timestamp>) {
        let condition: Condition = toml::from_str(condition).unwrap();
        let mut until = None;
        let is_so = condition.check(predicate, "2026-01-10T00:00:00Z".parse().unwrap(), &mut until).is_ok();
        (is_so, until)
    }

    #[test]
    fn a_condition_is_about_every_value_that_its_way_leads_to() {
        let predicate = json!({
            "id": "https://a/b", "count": 3, "list": [{ "kind": "low" }, { "kind": "high" }], "empty": [], "none": null,
            "a/b": { "m~n": true },
        });
        for (condition, expected) in [
            ("field = '/id'\nequals = 'https://a/b'", true),
            ("field = '/id'\nequals = 'https://a'", false),
            ("field = '/id'\nmatches = 'https://a/*'", true),
            ("field = '/count'\nmatches = '*'", false),
            ("field = '/count'\nequals = 3", true),
            ("field = '/count'\nat_most = 3", true),
            ("field = '/count'\nat_most = 2.5", false),
            ("field = '/list/*/kind'\nnot = 'critical'", true),
            ("field = '/list/*/kind'\nnot = 'high'", false),
            ("field = '/list/*/kind'\nequals = 'low'", false),
            ("field = '/list/1/kind'\nequals = 'high'", true),
            ("field = '/list/2/kind'\nexists = false", true),
            ("field = '/empty/*'\nequals = 'x'", false),
            ("field = '/empty/*'\nnot = 'x'", true),
            ("field = '/absent/*'\nnot = 'x'", false),
            ("field = '/absent'\nnot = 'x'", false),
            ("field = '/count'\nnot = 4", true),
            ("field = '/count'\nequals = 3.0", true),
            ("field = '/*'\nexists = true", true),
            ("field = '/none'\nexists = true", true),
            ("field = '/absent'\nexists = true", false),
            ("field = '/id/x'\nexists = true", false),
            ("field = '/a~1b/m~0n'\nequals = true", true),
        ] {
            assert_eq!(check(condition, &predicate).0, expected, "{condition}");
        }
    }

    #[test]
    fn what_is_new_enough_stays_so_for_a_while() {
        let condition = "field = '/*'\nnewer_than = '7d'";
        let until = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let predicate = json!(["2026-01-05T00:00:00Z", "2026-01-04T00:00:00Z"]);
        assert_eq!(check(condition, &predicate), (true, until("2026-01-11T00:00:00Z")));
        assert!(!check(condition, &json!(["2026-01-05T00:00:00Z", "2026-01-03T00:00:00Z"])).0);
        assert!(!check(condition, &json!(["2026-01-05T00:00:00Z", "soon"])).0);
        assert!(!check(condition, &json!(["2026-01-10T00:06:00Z"])).0, "nothing was found in the future");
        assert!(!check(condition, &json!([])).0);
    }
}
