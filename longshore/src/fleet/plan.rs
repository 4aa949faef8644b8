//! What a change would come to, in words.

use std::io::{self, Write};

use longshore_fleet::api::{FieldChange, Plan};
use serde_json::Value;

use super::{
    counted::counted,
    paint::{Colour, Paint},
};
use crate::output::{ByteCount, Sheet, printable};

/// How long a value may be to be shown whole, in characters.
const MOST_SHOWN: usize = 120;

/// Writes what a change of `what` would come to.
pub fn write(out: &mut impl Write, what: &str, plan: &Plan, paint: Paint) -> io::Result<()> {
    let would = match (plan.is_new, plan.changes.is_empty()) {
        (true, _) => "would be new".to_owned(),
        (false, true) => "would stay as it is".to_owned(),
        (false, false) => {
            let revision = plan.revision.map(|revision| format!(", which is at revision {revision}")).unwrap_or_default();
            format!("would be changed{revision}")
        }
    };
    writeln!(out, "{what} {would}")?;
    for change in &plan.changes {
        writeln!(out, "  {}", changed(change, paint))?;
    }
    if plan.makes + plan.ends > 0 {
        writeln!(out, "  makes {}, ends {}", pods(plan.makes), pods(plan.ends))?;
    }
    if !plan.placements.is_empty() {
        let rows = plan.placements.iter().map(|placement| {
            let missing = ByteCount(placement.missing_bytes);
            let node = format!("  {}", placement.node);
            vec![node, pods(placement.pods), format!("lacks {missing}"), format!("waits {:.1} s", placement.wait_seconds)]
        });
        Sheet::headless(4).write(out, rows)?;
    }
    if plan.unplaced > 0 {
        writeln!(out, "  {}", paint.text(Colour::Red, &format!("{} would fit nowhere", pods(plan.unplaced))))?;
        plan.remedies.iter().try_for_each(|remedy| writeln!(out, "    {}", printable(remedy)))?;
    }
    Ok(())
}

fn pods(count: u32) -> String {
    counted(count, "pod")
}

fn changed(change: &FieldChange, paint: Paint) -> String {
    let field = printable(&change.field);
    match (&change.from, &change.to) {
        (None, to) => paint.text(Colour::Green, &format!("+ {field}: {}", shown(to.as_ref()))),
        (from, None) => paint.text(Colour::Red, &format!("- {field}: {}", shown(from.as_ref()))),
        (from, to) => paint.text(Colour::Yellow, &format!("~ {field}: {} -> {}", shown(from.as_ref()), shown(to.as_ref()))),
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let text = printable(&text);
    if text.chars().count() <= MOST_SHOWN {
        return text;
    }
    text.chars().take(MOST_SHOWN - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(plan: Value) -> String {
        let plan: Plan = serde_json::from_value(plan).expect("a plan");
        let mut out = Vec::new();
        write(&mut out, "deployment/hello", &plan, Paint::default()).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn says_what_would_change_and_where_pods_would_go() {
        let text = written(json!({
            "name": "hello", "isNew": false, "revision": 4, "image": "localhost:5000/hello:2", "makes": 3, "ends": 2,
            "changes": [
                {"field": "image", "from": "localhost:5000/hello:1", "to": "localhost:5000/hello:2"},
                {"field": "env[0]", "to": {"name": "A", "value": "b"}},
                {"field": "priority", "from": 3},
                {"field": "args", "from": "x".repeat(500), "to": "y"},
            ],
            "placements": [{"node": "n1", "pods": 2, "missingBytes": 0, "waitSeconds": 0.04},
                {"node": "node-two", "pods": 1, "missingBytes": 3 << 20, "waitSeconds": 1.26}],
            "unplaced": 1, "remedies": ["free 500m of CPU on one (12 nodes)"],
        }));
        let expected = [
            "deployment/hello would be changed, which is at revision 4",
            "  ~ image: localhost:5000/hello:1 -> localhost:5000/hello:2",
            "  + env[0]: {\"name\":\"A\",\"value\":\"b\"}",
            "  - priority: 3",
            &format!("  ~ args: {}… -> y", "x".repeat(119)),
            "  makes 3 pods, ends 2 pods",
            "  n1        2 pods  lacks 0 B      waits 0.0 s",
            "  node-two  1 pod   lacks 3.0 MiB  waits 1.3 s",
            "  1 pod would fit nowhere",
            "    free 500m of CPU on one (12 nodes)",
        ];
        assert_eq!(text, expected.join("\n") + "\n");
    }

    #[test]
    fn says_that_nothing_would_change() {
        let plan = json!({"name": "hello", "isNew": false, "revision": 4, "image": "localhost:5000/hello:2", "makes": 0, "ends": 0,
            "changes": [], "placements": [], "unplaced": 0, "remedies": []});
        assert_eq!(written(plan), "deployment/hello would stay as it is\n");
    }
}
