//! Configuration: a text is taken whole or every mistake in it has its line; what is taken is shown as a text that means the same.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use longshore_registry::Config;
use longshore_service::config::{Loaded, Mistake, Source};

fuzz_target!(|toml: &str| {
    match Config::parse_str(toml) {
        Ok(config) => {
            assert!(config.max_blob_size().as_bytes() > 0);
            let loaded = Loaded { config, origins: BTreeMap::new() };
            let shown = loaded.render(false);
            assert_eq!(Config::parse_str(&shown).as_ref(), Ok(&loaded.config), "{shown}");
            let Config { auth, database, keys, storage, .. } = &loaded.config;
            let ours = [&auth.admin_password, &keys.sealing_secret];
            let others = [&database.url, &storage.secret_access_key, &storage.session_token];
            let holds_one = ours.into_iter().chain(others).any(|secret| !["", "<redacted>"].contains(&secret.reveal()));
            assert_eq!(loaded.render(true) != shown, holds_one, "secrets are left out, and nothing else is");
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            let lines = toml.bytes().filter(|byte| *byte == b'\n').count() + 1;
            mistakes.iter().for_each(|mistake| check(mistake, lines));
        }
    }
});

fn check(mistake: &Mistake, lines: usize) {
    assert!(!mistake.message.is_empty());
    match &mistake.source {
        Source::File { line, .. } => assert!((1..=lines).contains(line), "{mistake} is past the text's {lines} lines"),
        // A section that is missing altogether can be what is wrong.
        Source::Default => assert!(!mistake.key.is_empty()),
        source => panic!("{source} was not looked at"),
    }
}
