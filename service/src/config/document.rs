//! The TOML file as a layer.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::layer::{Entry, Reading};
use super::{Given, Mistake, Source};

/// Reads every value of a TOML text, with its line; syntax errors go to `reading`, and what could be read is kept.
pub(super) fn read(name: &str, text: &str, reading: &mut Reading) -> Vec<Entry> {
    let source = |offset: usize| Source::File { name: name.to_owned(), line: line_at(text, offset) };
    let (document, errors) = DeTable::parse_recoverable(text);
    reading.is_partial |= !errors.is_empty();
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        reading.mistakes.push(Mistake {
            source: source(offset),
            key: String::new(),
            message: format!("not TOML: {}", error.message()),
        });
    }
    let mut entries = Vec::new();
    for (section, value) in document.get_ref() {
        let name = section.get_ref();
        if let Some(keys) = value.get_ref().as_table() {
            add_section(&mut entries, &source, (name, None, section.span().start), keys);
            continue;
        }
        let tables: Vec<_> = value.get_ref().as_array().into_iter().flatten().collect();
        if tables.is_empty() || tables.iter().any(|table| table.get_ref().as_table().is_none()) {
            entries.push(entry((name, None), "", source(section.span().start), value));
            continue;
        }
        for (position, table) in tables.iter().enumerate() {
            let keys = table.get_ref().as_table().expect("all of them are tables");
            add_section(&mut entries, &source, (name, Some(position), table.span().start), keys);
        }
    }
    entries
}

/// Adds what a table gives; `(name, position, offset)` says which section it is, and where it was written.
fn add_section(
    entries: &mut Vec<Entry>,
    source: &impl Fn(usize) -> Source,
    (name, position, offset): (&str, Option<usize>, usize),
    keys: &DeTable<'_>,
) {
    if keys.is_empty() {
        // An empty section sets nothing, but its name may be misspelt, and one of a list is there all the same.
        let (section, key) = (name.to_owned(), String::new());
        entries.push(Entry { section, position, key, source: source(offset), given: Given::Nothing });
    }
    for (key, value) in keys {
        entries.push(entry((name, position), key.get_ref(), source(key.span().start), value));
    }
}

fn entry((section, position): (&str, Option<usize>), key: &str, source: Source, value: &Spanned<DeValue<'_>>) -> Entry {
    Entry { section: section.to_owned(), position, key: key.to_owned(), source, given: given(value.get_ref()) }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(integer) => number(integer).map_or(Given::Other("an integer past 64 bits"), Given::Integer),
        DeValue::Boolean(value) => Given::Boolean(*value),
        DeValue::Array(items) => Given::List(items.iter().map(|item| given(item.get_ref())).collect()),
        DeValue::Float(_) => Given::Other("a fraction"),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

fn number(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The line of a byte offset, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
