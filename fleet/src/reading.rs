//! From JSON to a type, with every field that is wrong named at once, not the first alone.
//!
//! serde stops at the first mistake. What it stopped at is noted, taken out, and the rest read again, until nothing is left that it
//! stops at. A field that is missing can't be taken out; there what it is missing from goes, so of several fields that one object
//! lacks the first is named.

use std::fmt::Write as _;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::Faults;

/// Reads a value, or notes all that is wrong with its form. `None` where something is.
pub fn read<T: DeserializeOwned + Serialize>(value: Value, faults: &mut Faults) -> Option<T> {
    read_beside(value, &[], faults)
}

/// The same, of an object some fields of which were taken out: they are named where others are meant.
pub(crate) fn read_beside<T: DeserializeOwned + Serialize>(mut value: Value, beside: &[&str], faults: &mut Faults) -> Option<T> {
    let mut taken = Taken::default();
    let mut is_whole = true;
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => {
                // What was read is shown as objects wherever objects are meant; serde takes lists for them as well.
                let shown = serde_json::to_value(&read).ok()?;
                let has_lists = note_lists(&value, &shown, &mut Vec::new(), &taken, faults);
                return (is_whole && !has_lists).then_some(read);
            }
            Err(error) => error,
        };
        is_whole = false;
        let mut steps: Vec<Step> = steps(error.path());
        let (at, message) = told(&taken.original(&steps), &error.inner().to_string(), beside);
        faults.add_at(at, message);
        // What was told of may be a part that is not there; what it is missing from goes then.
        while !remove(&mut value, &steps) {
            steps.pop()?;
        }
        if steps.is_empty() || faults.is_full() {
            return None;
        }
        taken.note(&steps);
    }
}

/// Notes lists that stand where objects are meant. Whether there are any.
fn note_lists(written: &Value, shown: &Value, at: &mut Vec<Step>, taken: &Taken, faults: &mut Faults) -> bool {
    match (written, shown) {
        (Value::Array(_), Value::Object(_)) => {
            faults.add_at(taken.original(at), "is a list, where an object is meant".to_owned());
            true
        }
        (Value::Object(written), Value::Object(shown)) => {
            let both = written.iter().filter_map(|(name, value)| Some((Step::Field(name.clone()), value, shown.get(name)?)));
            note_within(both, at, taken, faults)
        }
        (Value::Array(written), Value::Array(shown)) => {
            let both = written.iter().zip(shown).enumerate();
            note_within(both.map(|(index, (value, shown))| (Step::Item(index), value, shown)), at, taken, faults)
        }
        _ => false,
    }
}

fn note_within<'a>(
    parts: impl Iterator<Item = (Step, &'a Value, &'a Value)>,
    at: &mut Vec<Step>,
    taken: &Taken,
    faults: &mut Faults,
) -> bool {
    let mut found = false;
    for (step, value, shown) in parts {
        at.push(step);
        found |= note_lists(value, shown, at, taken, faults);
        at.pop();
    }
    found
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Field(String),
    Item(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Item(*index)),
        Segment::Map { key } => Some(Step::Field(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// What was taken out so far.
#[derive(Default)]
struct Taken {
    /// Items of lists, by their list and their position in it as it was written, in the order of positions.
    items: Vec<(String, usize)>,
}

impl Taken {
    /// Steps as the whole document has them: the positions of lists whose items are gone are those of before.
    fn original(&self, steps: &[Step]) -> String {
        let mut place = String::new();
        for step in steps {
            match step {
                Step::Field(name) if place.is_empty() => place.push_str(name),
                Step::Field(name) => {
                    place.push('.');
                    place.push_str(name);
                }
                Step::Item(index) => {
                    let position = self.position(&place, *index);
                    let _ = write!(place, "[{position}]");
                }
            }
        }
        place
    }

    fn position(&self, list: &str, index: usize) -> usize {
        let before = self.items.iter().filter(|(of, _)| of == list).map(|(_, position)| *position);
        before.fold(index, |index, taken| if taken <= index { index + 1 } else { index })
    }

    /// Notes that what is there was taken out.
    fn note(&mut self, steps: &[Step]) {
        if let Some((Step::Item(index), above)) = steps.split_last() {
            let list = self.original(above);
            let position = self.position(&list, *index);
            self.items.push((list, position));
            self.items.sort();
        }
    }
}

/// Takes out what the steps lead to; false where there is nothing.
fn remove(value: &mut Value, steps: &[Step]) -> bool {
    let Some((last, above)) = steps.split_last() else {
        return true;
    };
    let mut inner = value;
    for step in above {
        let next = match step {
            Step::Field(name) => inner.get_mut(name.as_str()),
            Step::Item(index) => inner.get_mut(*index),
        };
        let Some(next) = next else { return false };
        inner = next;
    }
    match (last, inner) {
        (Step::Field(name), Value::Object(fields)) => fields.remove(name).is_some(),
        (Step::Item(index), Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

/// serde's words in ours, and the field that they are of.
fn told(at: &str, message: &str, beside: &[&str]) -> (String, String) {
    let inside = |field: &str| if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    if message.starts_with("missing field") {
        let field = quoted(message).unwrap_or_default();
        return (inside(&field), "is required".to_owned());
    }
    if message.starts_with("unknown field") {
        let field = quoted(message).unwrap_or_default();
        let mut known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        known.extend(beside);
        let near = known
            .iter()
            .filter(|name| strsim::damerau_levenshtein(name, &field) <= 2)
            .min_by_key(|name| strsim::damerau_levenshtein(name, &field));
        let place = if at.ends_with(&field) && !field.is_empty() { at.to_owned() } else { inside(&field) };
        let advice = match near {
            Some(name) => format!("; {name} is meant?"),
            None if known.is_empty() => String::new(),
            None => format!("; there are {}", known.join(", ")),
        };
        return (place, format!("is no field{advice}"));
    }
    (at.to_owned(), message.to_owned())
}

/// Takes these fields out of an object into one of their own.
pub(crate) fn split(fields: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| fields.remove_entry(*name)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::read;
    use crate::{Cpu, Faults, Template};

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Shop {
        name: String,
        #[serde(default)]
        shelves: Vec<Shelf>,
        #[serde(default)]
        cpu: Cpu,
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Shelf {
        height_cm: u32,
    }

    fn faults_of(value: Value) -> Vec<String> {
        let mut faults = Faults::default();
        assert_eq!(read::<Shop>(value, &mut faults), None);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_right_is_read() {
        let mut faults = Faults::default();
        let shop = read::<Shop>(json!({"name": "a", "shelves": [{"heightCm": 3}]}), &mut faults).unwrap();
        assert_eq!((shop.name.as_str(), shop.shelves[0].height_cm, faults.is_empty()), ("a", 3, true));
    }

    #[test]
    fn every_mistake_is_named_where_it_stands() {
        let faults = faults_of(json!({
            "nme": "a",
            "shelves": [{"heightCm": "x"}, {"heightCm": 3}, {"heightCn": 4}, {"heightCm": -1}, 7, {"heightCm": 3, "more": 1}],
            "cpu": "5x"
        }));
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        fields.sort_unstable();
        let expected = [
            "cpu",
            "name",
            "nme",
            "shelves[0].heightCm",
            "shelves[2].heightCm",
            "shelves[2].heightCn",
            "shelves[3].heightCm",
            "shelves[4]",
            "shelves[5].more",
        ];
        assert_eq!(fields, expected, "{faults:#?}");
    }

    #[test]
    fn words_help() {
        let faults = faults_of(json!({"nme": "a", "colour": "red", "cpu": "5x"}));
        assert!(faults.contains(&"nme: is no field; name is meant?".to_owned()), "{faults:?}");
        assert!(faults.contains(&"colour: is no field; there are name, shelves, cpu".to_owned()), "{faults:?}");
        assert!(faults.contains(&"name: is required".to_owned()), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.starts_with("cpu: a quantity's suffix")), "{faults:?}");
    }

    #[test]
    fn what_is_no_object_is_told_once() {
        assert_eq!(faults_of(json!("a")).len(), 1);
        assert_eq!(faults_of(json!(null)).len(), 1);
    }

    #[test]
    fn ends_with_as_many_as_are_told() {
        let shelves: Vec<Value> = (0..1_000).map(|_| json!({"heightCm": "x"})).collect();
        assert_eq!(faults_of(json!({"name": "a", "shelves": shelves})).len(), Faults::MOST);
    }

    #[test]
    fn a_list_is_no_object() {
        let faults = faults_of(json!({"name": "a", "shelves": [[3], {"heightCm": 3}]}));
        assert_eq!(faults, ["shelves[0]: is a list, where an object is meant"]);
        let faults = faults_of(json!({"name": "a", "shelves": [7, {"heightCm": 3}, [3]]}));
        assert!(faults.contains(&"shelves[2]: is a list, where an object is meant".to_owned()), "{faults:?}");
        assert_eq!(faults_of(json!(["a"])), ["is a list, where an object is meant"]);
    }

    /// What may stand anywhere in a document.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z0-9%=.-]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            let fields = prop::collection::btree_map("name|port|cpu|key|http", inner.clone(), 0..3);
            prop_oneof![
                prop::collection::vec(inner, 0..3).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// All places of a document.
    fn places(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), all)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
            }
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A document with something else in some places is read, or what is wrong is told; it ends either way.
        #[test]
        fn whatever_stands_there_it_ends(changes in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..6)) {
            let mut document = json!({
                "image": "a", "env": [{"name": "A", "value": "b"}, {"name": "B"}], "ports": [{"containerPort": 80}],
                "probes": {"readiness": {"http": {"port": 80}}, "liveness": {"exec": {"command": ["true"]}}},
                "resources": {"requests": {"cpu": "1"}}, "labels": {"a": "b"}, "tolerations": [{"operator": "Exists"}],
                "affinity": {"node": {"preferred": [{"weight": 1, "matchExpressions": [{"key": "a", "operator": "Exists"}]}]}},
            });
            for (index, value) in changes {
                let mut all = Vec::new();
                places(&document, "", &mut all);
                let at = index.index(all.len());
                *document.pointer_mut(&all[at]).unwrap() = value;
            }
            let mut faults = Faults::default();
            let read = read::<Template>(document, &mut faults);
            prop_assert_eq!(read.is_some(), faults.is_empty());
        }
    }
}
