//! Documents: one merged into another (RFC 7386), and what two differ in. Pure.

use longshore_fleet::api::FieldChange;
use serde_json::{Map, Value};

/// How many differences are told of.
const MOST_CHANGES: usize = 1_000;

/// Merges a patch into a document: members that are null go, objects are merged, all else takes the place of what was there.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { unreachable!("it was just made one") };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// What is other in a document than in the one before, by field.
pub fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(field: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldChange>) {
    if from == to || found.len() >= MOST_CHANGES {
        return;
    }
    match (from, to) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let within = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
            for (name, value) in before {
                compare(within(name), Some(value), after.get(name), found);
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                compare(within(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare(format!("{field}[{index}]"), before.get(index), after.get(index), found);
            }
        }
        (from, to) => found.push(FieldChange { field, from: from.cloned(), to: to.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_as_the_rfc_does() {
        // Appendix A.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{target} and {patch}");
        }
    }

    #[test]
    fn differences_are_named_by_their_fields() {
        let before = json!({"image": "a:1", "env": [{"name": "A", "value": "1"}], "args": ["x"], "same": {"b": 1}});
        let after = json!({"image": "a:2", "env": [{"name": "A", "value": "2"}, {"name": "B"}], "same": {"b": 1}, "replicas": 3});
        let told: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|change| format!("{} {:?} {:?}", change.field, change.from.is_some(), change.to.is_some()))
            .collect();
        let expected =
            ["args true false", "env[0].value true true", "env[1] false true", "image true true", "replicas false true"];
        assert_eq!(told, expected);
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<u8>().prop_map(Value::from), "[a-c]".prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_are_differences_where_there_are_any(before in documents(), after in documents()) {
            prop_assert_eq!(changes(&before, &after).is_empty(), before == after);
        }

        #[test]
        fn merging_twice_is_merging_once(target in documents(), patch in documents()) {
            let mut once = target;
            merge(&mut once, patch.clone());
            let mut twice = once.clone();
            merge(&mut twice, patch);
            prop_assert_eq!(once, twice);
        }
    }
}
