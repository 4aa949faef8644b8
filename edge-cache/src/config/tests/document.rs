//! What the operator's page says that there is to set.

use super::*;

const PAGE: &str = include_str!("../../../../docs/edge.md");

/// A section's head, a key, and its default.
type Row = (String, String, String);

/// What `config show` prints.
fn shown() -> Vec<Row> {
    let loaded = longshore_service::config::load_text::<Config>("edge.toml", LEAST).expect("nothing is wrong");
    // The one setting without which there is no configuration.
    let text = loaded.render(false).replace("http://127.0.0.1:5000", "");
    let (mut section, mut rows) = ("", Vec::new());
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = value.split_once("  # ").map_or(value, |(value, _)| value);
            rows.push((section.to_owned(), key.to_owned(), value.to_owned()));
        }
    }
    rows
}

/// What the page's tables have under a section's head.
fn written() -> Vec<Row> {
    let (mut section, mut rows) = ("", Vec::new());
    for line in PAGE.lines() {
        let parts: Vec<&str> = line.split('`').collect();
        match parts[..] {
            ["### ", head, ""] => section = head,
            ["| ", key, " | ", default, ..] if !section.is_empty() => {
                rows.push((section.to_owned(), key.to_owned(), default.to_owned()));
            }
            _ if line.starts_with('#') => section = "",
            _ => {}
        }
    }
    rows
}

#[test]
fn every_setting_stands_on_the_page_with_its_default() {
    assert_eq!(written(), shown());
}
