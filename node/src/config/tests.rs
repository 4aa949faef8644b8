//! What the operator's page says that there is to set.

use longshore_service::config::load_text;

use super::*;

const PAGE: &str = include_str!("../../../docs/node.md");
const LEAST: &str =
    "[[mirror]]\nruntime = 'containerd'\nregistries = ['a.example']\n[[upstream]]\nurl = 'http://127.0.0.1:5000'\n";

/// A key, and its default.
type Row = (String, String);

/// What `config show` prints of a section.
fn shown(section: &str) -> Vec<Row> {
    let text = load_text::<Config>("node.toml", LEAST).expect("nothing is wrong").render(false);
    let heads = [format!("[{section}]"), format!("[[{section}]]")];
    let of_section = text.lines().skip_while(|line| !heads.iter().any(|head| head == line)).skip(1);
    let rows = of_section.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    let value = |value: &str| value.split_once("  # ").map_or(value, |(value, _)| value).to_owned();
    rows.map(|(key, text)| (key.to_owned(), value(text))).collect()
}

/// What the page's table has under a section's head.
fn written(section: &str) -> Vec<Row> {
    let heads = [format!("### `[{section}]`"), format!("### `[[{section}]]`")];
    let of_section = PAGE.lines().skip_while(|line| !heads.iter().any(|head| head == line)).skip(1);
    let lines = of_section.take_while(|line| !line.starts_with('#'));
    let row = |line: &str| match line.split('`').collect::<Vec<_>>()[..] {
        ["| ", key, " | ", default, ..] => Some((key.to_owned(), default.to_owned())),
        _ => None,
    };
    lines.filter_map(row).collect()
}

#[test]
fn every_setting_stands_on_the_page_with_its_default() {
    assert_eq!(written("swarm"), shown("swarm"));
    assert_eq!(written("containerd"), shown("containerd"));
    assert_eq!(written("agent"), shown("agent"));
}

#[test]
fn every_setting_of_a_mirror_stands_on_the_page() {
    let keys = |rows: Vec<Row>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert!(!keys(written("mirror")).is_empty());
    assert_eq!(keys(written("mirror")), keys(shown("mirror")));
}

#[test]
fn what_is_otherwise_than_at_an_edge_stands_on_the_page() {
    let config = load_text::<Config>("node.toml", LEAST).expect("nothing is wrong").config;
    assert_eq!(config.address(), "127.0.0.1:5200".parse().unwrap());
    for row in [
        "| `listen.address` | `\"127.0.0.1:5200\"` |",
        "| `cache.folder` | `\"./node\"` |",
        "| `requests.first_byte_timeout` | `\"5s\"` |",
    ] {
        assert!(PAGE.contains(row), "{row}");
    }
}

#[test]
fn a_runtime_that_is_none_is_told() {
    let text = format!(
        "{LEAST}[[mirror]]\nruntime = 'rkt'\nregistries = ['a']\n[[mirror]]\nruntime = 'podman'\n[containerd]\naddress = 'run/c.sock'\n\
         namespaces = ['a b']\npoll_interval = '1ms'\npins_stay = '1s'\n"
    );
    let mistakes = load_text::<Config>("node.toml", &text).expect_err("all of these are wrong").to_string();
    let keys =
        ["mirror.1.runtime", "mirror.2.registries", "containerd.address", "containerd.namespaces", "containerd.poll_interval"];
    for key in keys.into_iter().chain(["containerd.pins_stay"]) {
        assert!(mistakes.contains(key), "{key} in {mistakes}");
    }
}

#[test]
fn mistakes_are_told_together() {
    let text = format!(
        "{LEAST}[swarm]\nadvertise = ['here']\ntrackers = ['']\njoin = ['10.0.0.7']\nin_flight = '1MiB'\nmax_connections = 0\n\
         max_connections_per_network = 0\nmax_questions_per_network = 9999\nfleet_key = 'short'\n\
         zone = \"a\\u001b[31m\\nb\"\nrack = ' 7'\nhost = \"n1\\n\"\n"
    );
    let mistakes = load_text::<Config>("node.toml", &text).expect_err("all of these are wrong").to_string();
    let keys = ["advertise", "trackers", "join", "in_flight", "max_connections", "max_connections_per_network"];
    for key in keys.into_iter().chain(["max_questions_per_network", "fleet_key", "zone", "rack", "host"]) {
        assert!(mistakes.contains(&format!("swarm.{key}")), "{key} in {mistakes}");
    }
    assert!(!mistakes.contains('\u{1b}'), "{mistakes}");
    load_text::<Config>("node.toml", &format!("{LEAST}[swarm]\nzone = 'eu 1'\nrack = 'Rack Süd'\n")).expect("names are free");
}

#[test]
fn what_is_shown_of_shared_access_is_what_is_in_force() {
    let shared = |text: &str| {
        let loaded = load_text::<Config>("node.toml", text).expect("nothing is wrong");
        let shown = loaded.render(false);
        let again = load_text::<Config>("node.toml", &shown).expect("what is shown can be read");
        assert_eq!(again.config, loaded.config);
        let line = shown.lines().find(|line| line.starts_with("shares_access")).expect("it is shown").to_owned();
        (loaded.config.edge.upstream[0].shares_access, line)
    };
    for text in [LEAST.to_owned(), format!("{LEAST}shares_access = false\n")] {
        assert_eq!(shared(&text), (true, "shares_access = true".to_owned()), "{text}");
    }
    let elsewhere = format!("[listen]\naddress = '10.0.0.1:5200'\nallow_plain_http = true\n{LEAST}");
    assert_eq!(shared(&elsewhere), (false, "shares_access = false".to_owned()));
    let nothing_to_share = format!("{elsewhere}shares_access = true\n");
    let mistakes = load_text::<Config>("node.toml", &nothing_to_share).expect_err("it has no account").to_string();
    assert!(mistakes.contains("upstream.0.shares_access"), "{mistakes}");
}
