//! Documents that this program can't read: a later one wrote them, or something broke them.
//!
//! Nobody knows what they ask, so nothing is pushed to what they cover, nor pulled from there by those who neither sign nor
//! administer. What they cover is read from them as far as that can be; where it can't be, it is everything.

use toml::{Table, Value};

use super::{
    document::{Mode, Policy},
    pattern::RepositoryPattern,
};

/// The policies of a document that can't be read. Why it can't is for who administers: it tells what stands in it.
pub fn policies(document: &str, text: &str) -> Vec<Policy> {
    let table: Table = toml::from_str(text).unwrap_or_default();
    let parts = table.get("policy").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut policies: Vec<Policy> = parts.iter().map(|part| policy(document, part)).collect();
    if policies.is_empty() {
        policies.push(policy(document, &Value::Boolean(false)));
    }
    for policy in &mut policies {
        policy.closed = Some(format!(
            "its document {document:?} can't be read by this version of the registry, so nothing goes in or out; an administrator is told why"
        ));
    }
    policies
}

fn policy(document: &str, part: &Value) -> Policy {
    let text = |member: &str| part.get(member).and_then(Value::as_str);
    let mode = match text("mode") {
        Some("warn") => Mode::Warn,
        Some("off") => Mode::Off,
        _ => Mode::Enforce,
    };
    let listed = part.get("repositories").and_then(Value::as_array);
    let pattern = |pattern: &Value| pattern.as_str()?.parse::<RepositoryPattern>().ok();
    let patterns = listed.and_then(|listed| listed.iter().map(pattern).collect::<Option<Vec<_>>>());
    let repositories = patterns.filter(|patterns| !patterns.is_empty()).unwrap_or_else(|| vec![RepositoryPattern::all()]);
    Policy::empty(text("name").unwrap_or(document), repositories, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(text: &str) -> Vec<(String, String, Mode)> {
        let told = |policy: &Policy| {
            assert!(policy.closed.as_deref().is_some_and(|reason| reason.contains("can't be read")), "{policy:?}");
            let repositories: Vec<String> = policy.repositories.iter().map(ToString::to_string).collect();
            (policy.name.clone(), repositories.join(" "), policy.mode)
        };
        policies("file", text).iter().map(told).collect()
    }

    fn one(name: &str, repositories: &str, mode: Mode) -> (String, String, Mode) {
        (name.into(), repositories.into(), mode)
    }

    #[test]
    fn what_it_covers_is_read_as_far_as_it_can_be() {
        let text = "future = 1\n[[policy]]\nname = 'a'\nrepositories = ['x/*', 'y']\nmode = 'warn'\nlater = 'z'\n\
                    [[policy]]\nname = 'b'\nrepositories = ['x/*', '!y']\nmode = 'audit'\n[[policy]]\nrepositories = []\n";
        let expected = [one("a", "x/* y", Mode::Warn), one("b", "**", Mode::Enforce), one("file", "**", Mode::Enforce)];
        assert_eq!(closed(text), expected);
        for text in ["", "no toml", "policies = 1", "policy = 'x'"] {
            assert_eq!(closed(text), [one("file", "**", Mode::Enforce)], "{text}");
        }
    }
}
