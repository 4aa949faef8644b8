//! An edge's configuration: a text is taken whole or every mistake in it has its line; what is taken is shown as a text that means the
//! same, and each of its registries can be asked, by a name that no other has.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use longshore_edge_cache::Config;
use longshore_service::config::{Loaded, Mistake, Source};

fuzz_target!(|toml: &str| {
    match Config::parse_str(toml) {
        Ok(config) => {
            check_upstreams(&config);
            let loaded = Loaded { config, origins: BTreeMap::new() };
            let shown = loaded.render(false);
            assert_eq!(Config::parse_str(&shown).as_ref(), Ok(&loaded.config), "{shown}");
            let Config { listen, site, upstream, .. } = &loaded.config;
            let ours = [&listen.admin_token, &site.secret];
            let mut secrets = ours.into_iter().chain(upstream.iter().map(|upstream| &upstream.password));
            let holds_one = secrets.any(|secret| !["", "<redacted>"].contains(&secret.reveal()));
            assert_eq!(loaded.render(true) != shown, holds_one, "secrets are left out, and nothing else is");
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            let lines = toml.bytes().filter(|byte| *byte == b'\n').count() + 1;
            mistakes.iter().for_each(|mistake| check_mistake(mistake, lines));
        }
    }
});

fn check_upstreams(config: &Config) {
    let default = config.default_upstream();
    assert!(default < config.upstream.len(), "one is asked where a request names none");
    let mut names = BTreeSet::new();
    for (position, upstream) in config.upstream.iter().enumerate() {
        let settings = upstream.to_settings(position == default).expect("what is taken can be asked");
        assert!(names.insert(settings.name.to_ascii_lowercase()), "there are two of {}", settings.name);
        for address in [Some(&settings.url), settings.fallback_url.as_ref()].into_iter().flatten() {
            let is_private = address.is_https() || address.is_loopback();
            assert!(is_private || settings.allow_plain_http, "{address} is asked where anyone between can read it");
        }
        assert!(settings.attempts >= 1 && settings.max_concurrent >= 1 && settings.backoff_min <= settings.backoff_max);
        assert!(!settings.read_timeout.is_zero() && !settings.connect_timeout.is_zero());
    }
}

fn check_mistake(mistake: &Mistake, lines: usize) {
    assert!(!mistake.message.is_empty());
    match &mistake.source {
        Source::File { line, .. } => assert!((1..=lines).contains(line), "{mistake} is past the text's {lines} lines"),
        // A section that is missing altogether can be what is wrong.
        Source::Default => assert!(!mistake.key.is_empty()),
        source => panic!("{source} was not looked at"),
    }
}
