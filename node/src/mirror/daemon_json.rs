//! docker's `daemon.json` (dockerd, "Daemon configuration file"): `registry-mirrors`, a list of URLs, which are asked in this
//! order.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json_text::{elements, members};

const KEY: &str = "registry-mirrors";
/// What may stand around a value (RFC 8259).
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// What of the file was not there before.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Made {
    /// The file.
    File,
    /// What is in it: it was empty, or blank.
    Blank,
    /// The list.
    List,
    /// The entry alone.
    Entry,
}

/// Why an entry can't be put in or taken out.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotUnderstood {
    #[error("it is not JSON")]
    Json(#[from] serde_json::Error),
    #[error("{0} is no list of texts")]
    NoList(&'static str),
}

/// Whether a text has this mirror.
pub(super) fn has_mirror(text: &str, mirror: &str) -> Result<bool, NotUnderstood> {
    Ok(mirrors(text)?.into_iter().flatten().any(|one| is_same(&one, mirror)))
}

/// Whether a text has a list of mirrors, be it empty.
pub(super) fn has_list(text: &str) -> Result<bool, NotUnderstood> {
    Ok(mirrors(text)?.is_some())
}

/// The text with a mirror ahead of others, and what was made for it.
pub(super) fn with_mirror(text: Option<&str>, mirror: &str) -> Result<(String, Made), NotUnderstood> {
    let entry = Value::from(mirror).to_string();
    let fresh = || format!("{{\n  \"{KEY}\": [{entry}]\n}}\n");
    let Some(text) = text else { return Ok((fresh(), Made::File)) };
    if is_blank(text) {
        // What was there stays in front, so that it is found again.
        return Ok((text.to_owned() + &fresh(), Made::Blank));
    }
    if has_list(text)? {
        let (inside, all) = elements(text, list(text).expect("a list was read above").value.start);
        let at = all.first().map_or(inside, |first| first.start);
        // What is between the bracket and the first is put between it and the new one too, as in a list with a line for each.
        let space = match &text[inside..at] {
            "" => " ",
            space => space,
        };
        let between = if all.is_empty() { Cow::Borrowed("") } else { Cow::Owned(format!(",{space}")) };
        return Ok((format!("{}{entry}{between}{}", &text[..at], &text[at..]), Made::Entry));
    }
    let (inside, all) = members(text, 0);
    let (at, between) = match (all.first(), all.last()) {
        (Some(first), Some(last)) => (last.whole.end, format!(",{}", &text[inside..first.whole.start])),
        _ => (inside, String::new()),
    };
    Ok((format!("{}{between}\"{KEY}\": [{entry}]{}", &text[..at], &text[at..]), Made::List))
}

/// The text without a mirror, and without what was made for it and has nothing else; `None` where that is the file.
pub(super) fn without_mirror(text: &str, mirror: &str, made: Made) -> Result<Option<String>, NotUnderstood> {
    let mirrors = mirrors(text)?.unwrap_or_default();
    let Some(position) = mirrors.iter().position(|one| is_same(one, mirror)) else { return Ok(Some(text.to_owned())) };
    let own = list(text).expect("a list was read above");
    if mirrors.len() > 1 || made == Made::Entry {
        let (_, all) = elements(text, own.value.start);
        let range = joined(&all, position);
        return Ok(Some(format!("{}{}", &text[..range.start], &text[range.end..])));
    }
    let (_, all) = members(text, 0);
    match made {
        Made::File if all.len() == 1 => return Ok(None),
        Made::Blank if all.len() == 1 => return Ok(Some(text[..text.len() - text.trim_start_matches(SPACE).len()].to_owned())),
        _ => {}
    }
    let wholes: Vec<_> = all.iter().map(|member| member.whole.clone()).collect();
    let range = joined(&wholes, wholes.iter().position(|whole| *whole == own.whole).unwrap_or_default());
    Ok(Some(format!("{}{}", &text[..range.start], &text[range.end..])))
}

/// One of several with what joins it to the others.
fn joined(all: &[std::ops::Range<usize>], position: usize) -> std::ops::Range<usize> {
    match (position.checked_sub(1).and_then(|before| all.get(before)), all.get(position + 1)) {
        (Some(before), _) => before.end..all[position].end,
        (None, Some(after)) => all[position].start..after.start,
        (None, None) => all[position].clone(),
    }
}

/// Whether nothing is set: dockerd takes a file for that which has nothing but space.
fn is_blank(text: &str) -> bool {
    text.trim_matches(SPACE).is_empty()
}

/// The mirrors; `None` where there is no list.
fn mirrors(text: &str) -> Result<Option<Vec<String>>, NotUnderstood> {
    if is_blank(text) {
        return Ok(None);
    }
    let document: Map<String, Value> = serde_json::from_str(text)?;
    let Some(list) = document.get(KEY) else { return Ok(None) };
    let texts = list.as_array().ok_or(NotUnderstood::NoList(KEY))?;
    texts
        .iter()
        .map(|text| text.as_str().map(str::to_owned).ok_or(NotUnderstood::NoList(KEY)))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The list's member. Of several with its key the last counts.
fn list(text: &str) -> Option<super::json_text::Member> {
    let is_key = |whole: &str| {
        let key = serde_json::Deserializer::from_str(whole).into_iter::<String>().next();
        key.is_some_and(|key| key.is_ok_and(|key| key == KEY))
    };
    members(text, 0).1.into_iter().rfind(|member| is_key(&text[member.whole.clone()]))
}

/// dockerd puts a slash behind a mirror's URL that has none.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "http://127.0.0.1:5200";

    fn with(text: &str) -> (String, Made) {
        with_mirror(Some(text), URL).unwrap()
    }

    #[test]
    fn the_mirror_is_put_into_the_form_that_is_there() {
        let is = |text: &str, expected: &str| {
            let (written, made) = with(text);
            assert_eq!(written, expected);
            assert_eq!(without_mirror(&written, URL, made).unwrap().as_deref(), Some(text));
        };
        is("{}", "{\"registry-mirrors\": [\"http://127.0.0.1:5200\"]}");
        is("{\n\t\"debug\": true\n}\n", "{\n\t\"debug\": true,\n\t\"registry-mirrors\": [\"http://127.0.0.1:5200\"]\n}\n");
        is("{\"registry-mirrors\":[ ],\"a\":1}", "{\"registry-mirrors\":[\"http://127.0.0.1:5200\" ],\"a\":1}");
        is("{\"registry-mirrors\":[\"https://m\"]}", "{\"registry-mirrors\":[\"http://127.0.0.1:5200\", \"https://m\"]}");
        is(
            "{\"registry-\\u006dirrors\": [\n    \"https://m\"\n  ]}",
            "{\"registry-\\u006dirrors\": [\n    \"http://127.0.0.1:5200\",\n    \"https://m\"\n  ]}",
        );
        let twice = "{\"registry-mirrors\":[\"https://m\"],\"registry-mirrors\":[]}";
        is(twice, &twice.replace("[]", "[\"http://127.0.0.1:5200\"]"));
        let (fresh, made) = with_mirror(None, URL).unwrap();
        assert_eq!(fresh, "{\n  \"registry-mirrors\": [\"http://127.0.0.1:5200\"]\n}\n");
        assert_eq!(without_mirror(&fresh, URL, made).unwrap(), None);
        assert!(
            has_mirror(&fresh, URL).unwrap() && has_mirror("{\"registry-mirrors\": [\"http://127.0.0.1:5200/\"]}", URL).unwrap()
        );
        assert!(!has_mirror("{\"registry-mirrors\": [\"http://127.0.0.1:5201\"]}", URL).unwrap());
    }

    #[test]
    fn a_file_that_is_blank_sets_nothing_and_is_so_again() {
        for text in ["", "\n", "  \r\n\t"] {
            assert!(!has_list(text).unwrap() && !has_mirror(text, URL).unwrap());
            let (written, made) = with(text);
            assert!(made == Made::Blank && has_mirror(&written, URL).unwrap(), "{written}");
            assert_eq!(without_mirror(&written, URL, made).unwrap().as_deref(), Some(text));
            let with_more = written.replace("]\n", "],\n  \"debug\": true\n");
            let rest = without_mirror(&with_more, URL, made).unwrap().unwrap();
            assert_eq!(rest, format!("{text}{{\n  \"debug\": true\n}}\n"));
        }
    }

    #[test]
    fn what_others_added_stays() {
        let (fresh, made) = with_mirror(None, URL).unwrap();
        let with_more = fresh.replace("]\n", "],\n  \"debug\": true\n");
        assert_eq!(without_mirror(&with_more, URL, made).unwrap().unwrap(), "{\n  \"debug\": true\n}\n");
        let (with_list, made) = with("{\"a\":1}");
        let another = with_list.replace("[\"", "[\"https://m\", \"");
        assert_eq!(without_mirror(&another, URL, made).unwrap().unwrap(), "{\"a\":1,\"registry-mirrors\": [\"https://m\"]}");
        assert_eq!(without_mirror("{\"a\":1}", URL, made).unwrap().unwrap(), "{\"a\":1}");
        assert_eq!(without_mirror(&format!("{{\"{KEY}\": [\"{URL}\"]}}"), URL, Made::List).unwrap().unwrap(), "{}");
    }

    #[test]
    fn what_is_no_list_of_texts_is_left_alone() {
        for text in
            ["x", "[]", "{", "{\"registry-mirrors\": \"x\"}", "{\"registry-mirrors\": [1]}", "{\"registry-mirrors\": null}"]
        {
            assert!(with_mirror(Some(text), URL).is_err(), "{text}");
            assert!(without_mirror(text, URL, Made::Entry).is_err(), "{text}");
        }
    }

    fn a_value() -> impl Strategy<Value = String> {
        let scalar =
            prop::sample::select(vec!["1", "true", "null", "\"a\\\\\\\"],}{ ü\"", "-1.5e3", "[]", "{ }"]).prop_map(str::to_owned);
        scalar.prop_recursive(2, 8, 3, |inner| {
            let list = prop::collection::vec(inner.clone(), 1..3).prop_map(|all| format!("[{}]", all.join(" , ")));
            prop_oneof![list, inner.prop_map(|value| format!("{{\"registry-mirrors\" :\n{value}}}"))]
        })
    }

    prop_compose! {
        fn a_file()(
            values in prop::collection::vec(a_value(), 0..4),
            list in prop::option::of((prop::collection::vec(prop::sample::select(vec!["\"https://m\"", "\"a\""]), 0..3), 0..5_usize)),
            space in prop::sample::select(vec!["", " ", "\n  ", "\r\n\t"]),
            (start, end) in prop::sample::select(vec![("", ""), ("\n", "\n"), (" ", "\r\n ")]),
        ) -> String {
            let mut all: Vec<_> = values.iter().enumerate().map(|(number, value)| format!("\"k{number}\":{space}{value}")).collect();
            if let Some((entries, at)) = list {
                let entries = entries.join(&format!(",{space}"));
                all.insert(at.min(all.len()), format!("\"registry-mirrors\" : [{space}{entries}]"));
            }
            format!("{start}{{{space}{}{space}}}{end}", all.join(&format!(",{space}")))
        }
    }

    proptest! {
        #[test]
        fn what_is_installed_is_first_and_comes_out_again(text in a_file()) {
            let (written, made) = with(&text);
            prop_assert_eq!(&mirrors(&written).unwrap().unwrap()[0], URL);
            let (before, mut after): (Value, Value) = (serde_json::from_str(&text).unwrap(), serde_json::from_str(&written).unwrap());
            let list = after[KEY].as_array_mut().unwrap();
            list.remove(0);
            if made == Made::List {
                prop_assert!(list.is_empty());
                after.as_object_mut().unwrap().remove(KEY);
            }
            prop_assert_eq!(after, before);
            prop_assert_eq!(without_mirror(&written, URL, made).unwrap(), Some(text));
        }
    }
}
