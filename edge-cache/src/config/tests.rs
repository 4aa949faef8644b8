mod document;

use std::path::PathBuf;

use longshore_service::config::{ByteSize, Duration};
use proptest::prelude::*;

use super::*;

/// The least that is a configuration.
const LEAST: &str = "[[upstream]]\nurl = 'http://127.0.0.1:5000'\n";

/// The mistakes of a text, a line each.
fn mistakes(toml: &str) -> Vec<String> {
    let mistakes = Config::parse_str(toml).expect_err("something is wrong");
    mistakes.to_string().lines().map(str::to_owned).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_upstream_is_all_that_must_be_said() {
    let config = Config::parse_str(LEAST).expect("nothing is wrong");
    let upstream = Upstream { url: "http://127.0.0.1:5000".to_owned(), ..Upstream::default() };
    assert_eq!(config, Config { upstream: vec![upstream], ..Config::default() });
    assert_eq!(config.upstream[0].name().as_deref(), Some("127.0.0.1:5000"));
    let told = mistakes("");
    assert!(told.len() == 1 && told[0].starts_with("upstream: a cache needs a registry to speak for"), "{told:?}");
}

#[test]
fn a_registry_of_this_machine_has_one_name() {
    let named = |url: &str| Upstream { url: url.to_owned(), allow_plain_http: true, ..Upstream::default() }.name();
    for url in ["127.0.0.1:5000", "localhost:5000", "http://LocalHost:5000", "http://[::1]:5000", "http://0.0.0.0:5000"] {
        assert_eq!(named(url).as_deref(), Some("127.0.0.1:5000"), "{url}");
    }
    for (url, name) in [
        ("http://localhost", "127.0.0.1"),
        ("10.0.0.7:5000", "10.0.0.7:5000"),
        ("http://a.localhost:5000", "a.localhost:5000"),
        ("http://localhost.example.org:5000", "localhost.example.org:5000"),
        ("https://registry.example.org", "registry.example.org"),
        ("docker.io", "docker.io"),
    ] {
        assert_eq!(named(url).as_deref(), Some(name), "{url}");
    }
    let own = Upstream { name: "localhost:5000".to_owned(), url: "localhost:5000".to_owned(), ..Upstream::default() };
    assert_eq!(own.name().as_deref(), Some("localhost:5000"), "what somebody has named is called so");
}

#[test]
fn what_is_shown_loads_again() {
    let toml = "[cache]\nmax_idle = '7d'\n[[upstream]]\nurl = 'docker.io'\nhosts = ['mirror.example.org']\n\
                [[upstream]]\nurl = 'https://ghcr.io'\nusername = 'ci'\npassword = 'hush'\n";
    let loaded = longshore_service::config::load_text::<Config>("edge.toml", toml).expect("nothing is wrong");
    let shown = loaded.render(false);
    assert_eq!(Config::parse_str(&shown).as_ref(), Ok(&loaded.config), "{shown}");
    assert!(shown.contains("[[upstream]]\nname = \"\"\nurl = \"https://ghcr.io\"  # edge.toml:7\n"), "{shown}");
    let redacted = loaded.render(true);
    assert!(redacted.contains("password = \"<redacted>\"") && !redacted.contains("hush"), "{redacted}");
}

#[test]
fn flags_and_the_environment_name_an_upstream_by_its_position() {
    let env = pairs(&[("LONGSHORE_EDGE__UPSTREAM__1__URL", "https://ghcr.io"), ("LONGSHORE_EDGE__CACHE__FOLDER", "/srv/edge")]);
    let flags = pairs(&[("upstream.0.url", "localhost:5000"), ("upstream.1.default", "true")]);
    let config = Config::load(None, env.into_iter(), flags).expect("nothing is wrong").config;
    assert_eq!(
        config.upstream.iter().map(|upstream| upstream.url.as_str()).collect::<Vec<_>>(),
        ["localhost:5000", "https://ghcr.io"]
    );
    assert_eq!((config.default_upstream(), config.cache.folder), (1, PathBuf::from("/srv/edge")));
    let flags = pairs(&[
        ("upstream.2.url", "a.example"),
        ("upstream.64.url", "b.example"),
        ("upstream.url", "c"),
        ("cache.0.folder", "d"),
    ]);
    let told = Config::load(None, std::iter::empty(), flags).expect_err("nearly all is wrong").to_string();
    let expected = [
        "flag --cache.0.folder: there is one of this alone: write [cache] and its keys",
        "flag --upstream.64.url: there may be 64 of these",
        "flag --upstream.url: there may be several of these: write [[upstream]] in the file, and upstream.0 elsewhere",
        "upstream.0.url: an upstream needs a url, such as \"https://registry.example.org\"",
        "upstream.1.url: an upstream needs a url, such as \"https://registry.example.org\"",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn every_mistake_of_an_upstream_is_told_with_its_line() {
    let toml = "\
[[upstream]]
url = 'http://10.0.0.1:5000'
username = 'ci'
nmae = 'a'
[[upstream]]
url = 'https://a.example/v2'
path_prefix = 'A'
certificate_file = 'a.pem'
max_attempts = 0
connect_timeout = '0s'
hosts = ['a b']
backoff_min = '2s'
[[upstream]]
shares_access = true
name = 'a/b'
max_concurrent = 0
kind = 'ours'
";
    let told = mistakes(toml);
    let starts = [
        "edge.toml:2: upstream.0.url: http://10.0.0.1:5000 is plain HTTP to another machine: set allow_plain_http",
        "edge.toml:3: upstream.0.username: username and password belong together",
        "edge.toml:4: upstream.0.nmae: unknown key; did you mean \"upstream.0.name\"?",
        "edge.toml:6: upstream.1.url: \"https://a.example/v2\" is not a registry's URL",
        "edge.toml:7: upstream.1.path_prefix: \"A\": ",
        "edge.toml:8: upstream.1.certificate_file: certificate_file and key_file belong together",
        "edge.toml:9: upstream.1.max_attempts: must be from 1 to 20",
        "edge.toml:10: upstream.1.connect_timeout: must be longer than 0s",
        "edge.toml:11: upstream.1.hosts: \"a b\" is no host",
        "edge.toml:12: upstream.1.backoff_min: 2s is longer than backoff_max, 1s",
        "edge.toml:14: upstream.2.shares_access: the cache has no account there that could be shared",
        "edge.toml:15: upstream.2.name: an upstream needs a url",
        "edge.toml:15: upstream.2.name: must be made of letters, digits",
        "edge.toml:16: upstream.2.max_concurrent: must be from 1 to 10000",
        "edge.toml:17: upstream.2.kind: \"ours\": expected one of auto, longshore, other",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (mistake, start) in told.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake}\ndoes not start with\n{start}");
    }
}

#[test]
fn no_two_upstreams_are_meant_by_the_same_words() {
    let toml = "[[upstream]]\nurl = 'docker.io'\npath_prefix = 'hub'\ndefault = true\n\
                [[upstream]]\nurl = 'https://registry-1.docker.io'\n\
                [[upstream]]\nurl = 'https://a.example'\nhosts = ['DOCKER.io']\npath_prefix = 'hub'\ndefault = true\n";
    let told = mistakes(toml);
    let starts = [
        "edge.toml:6: upstream.1.url: there is more than one upstream \"docker.io\": give them names",
        "edge.toml:9: upstream.2.hosts: another upstream is asked for \"docker.io\" already",
        "edge.toml:10: upstream.2.path_prefix: another upstream has the paths under \"hub\" already",
        "edge.toml:11: upstream.2.default: one upstream alone is asked",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (mistake, start) in told.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake}\ndoes not start with\n{start}");
    }
}

#[test]
fn words_that_are_written_in_another_way_are_the_same() {
    let toml = "[[upstream]]\nurl = 'https://a.example'\nhosts = ['index.docker.io']\npath_prefix = 'b.example'\n\
                [[upstream]]\nurl = 'https://b.example'\nhosts = ['docker.io.']\n";
    let expected = [
        "edge.toml:4: upstream.0.path_prefix: another upstream has the paths under \"b.example\" already",
        "edge.toml:7: upstream.1.hosts: another upstream is asked for \"docker.io.\" already",
    ];
    assert_eq!(mistakes(toml), expected);
}

#[test]
fn docker_hub_is_one_place_by_all_its_names() {
    for url in ["docker.io", "https://index.docker.io/", "registry-1.docker.io"] {
        let upstream = Upstream { url: url.to_owned(), ..Upstream::default() };
        assert_eq!(upstream.registry().expect("a registry").to_string(), "https://registry-1.docker.io");
        assert_eq!(upstream.name().as_deref(), Some("docker.io"));
    }
}

#[test]
fn every_conflict_is_told_at_once() {
    let toml = "\
[listen]
address = '0.0.0.0:5100'
admin_token = 'short'
idle_timeout = '0s'
[cache]
quota = '1MiB'
in_flight = '1B'
sync_delay = '2m'
grant_stale = '1s'
read_ahead = '1500KB'
run_size = '0B'
max_entries = 0
[requests]
max_in_flight = 0
max_checks = 0
max_tag_checks = 1000001
failed_logins_per_account = 1000001
";
    let told = mistakes(&format!("{toml}{LEAST}"));
    let starts = [
        "edge.toml:2: listen.address: other machines can reach this address: set tls_certificate_file",
        "edge.toml:3: listen.admin_token: must have 20 characters or more",
        "edge.toml:4: listen.idle_timeout: must be longer than 0s",
        "edge.toml:6: cache.quota: must be 16MiB or more",
        "edge.toml:7: cache.in_flight: must be 16MiB or more",
        "edge.toml:8: cache.sync_delay: must be 1m or less",
        "edge.toml:9: cache.grant_stale: 1s is shorter than grant_ttl, 1m",
        "edge.toml:10: cache.read_ahead: 1500KB is not a multiple of 1MiB from 0B to 256MiB",
        "edge.toml:11: cache.run_size: 0B is not a multiple of 1MiB from 1MiB to 256MiB",
        "edge.toml:12: cache.max_entries: must be from 1",
        "edge.toml:14: requests.max_in_flight: must be from 1",
        "edge.toml:15: requests.max_checks: must be from 1",
        "edge.toml:16: requests.max_tag_checks: must be from 1",
        "edge.toml:17: requests.failed_logins_per_account: must be from 0",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (mistake, start) in told.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake}\ndoes not start with\n{start}");
    }
}

#[test]
fn files_that_are_not_there_are_told() {
    let flags = pairs(&[
        ("upstream.0.url", "https://a.example"),
        ("upstream.0.ca_file", "/nowhere/ca.pem"),
        ("upstream.0.password_file", "/nowhere/password"),
        ("upstream.0.username", "ci"),
    ]);
    let told = Config::load(None, std::iter::empty(), flags).expect_err("there are no such files").to_string();
    assert!(told.contains("flag --upstream.0.ca_file: the certificate authorities in /nowhere/ca.pem can't be used: "), "{told}");
    assert!(told.contains("flag --upstream.0.password_file: /nowhere/password cannot be read: "), "{told}");
}

#[test]
fn files_of_an_upstream_that_is_asked_without_tls_are_looked_at_too() {
    let flags = pairs(&[("upstream.0.url", "http://127.0.0.1:5000"), ("upstream.0.ca_file", "/nowhere/ca.pem")]);
    let told = Config::load(None, std::iter::empty(), flags).expect_err("there is no such file").to_string();
    assert!(
        told.starts_with("flag --upstream.0.ca_file: the certificate authorities in /nowhere/ca.pem can't be used: "),
        "{told}"
    );
}

#[test]
fn a_file_that_is_not_read_is_one_mistake() {
    for toml in ["[[upstream\n", "this is no TOML\n", "[[upstream]]\nurl = \n"] {
        let told = mistakes(toml);
        assert!(told.len() == 1 && told[0].contains(": not TOML: "), "{told:?}");
    }
    let missing = Config::load(Some(Path::new("/nowhere/edge.toml")), std::iter::empty(), Vec::new());
    let missing = missing.expect_err("there is no such file").to_string();
    assert!(missing.starts_with("/nowhere/edge.toml: cannot be read: ") && missing.lines().count() == 1, "{missing}");
}

#[test]
fn a_list_of_members_says_which_of_them_this_is() {
    let site = "[site]\nmembers = ['https://a.example', 'https://b.example']\nsecret = '0123456789abcdef0123456789abcdef'\n";
    let told = mistakes(&format!("{site}{LEAST}"));
    assert_eq!(told, ["edge.toml:2: site.members: site.url is missing: it says which of site.members this edge is"]);
}

#[test]
fn an_edge_is_trusted_by_its_key() {
    let of = |x: &str| format!("[[upstream]]\nurl = 'https://edge.example'\ntrusted_keys = ['{x}']\n");
    let config = Config::parse_str(&of("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")).expect("nothing is wrong");
    let settings = config.upstream[0].to_settings(true).expect("it has a URL");
    assert!(settings.trusted_keys.has("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"), "by the thumbprint of RFC 8037");
    let told = mistakes(&of("kPrK"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("edge.toml:3: upstream.0.trusted_keys: \"kPrK\" is no Ed25519 key"), "{told:?}");
}

#[test]
fn the_default_has_sound_values() {
    let cache = Cache::default();
    assert_eq!((cache.quota, cache.tag_ttl), (ByteSize::gibibytes(50), Duration::seconds(30)));
    assert_eq!(Config::default().listen.address.port(), 5100);
}

proptest! {
    #[test]
    fn any_value_of_any_key_is_read_or_refused(key in "(listen|cache|upstream\\.[0-9]{1,2})\\.[a-z_]{1,20}", value: String) {
        let _ = Config::load(None, std::iter::empty(), vec![(key, value)]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\[\\[?(upstream|cache)\\]\\]?|[a-z_]{1,12} = ('[a-z:/.]{0,20}'|[0-9]{1,9}|\\[\\])|\\n){0,30}") {
        let _ = Config::parse_str(&text);
    }
}
