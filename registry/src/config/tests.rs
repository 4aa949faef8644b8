use longshore_service::config::Duration;
use proptest::prelude::*;

use super::*;

/// The mistakes of a text, a line each.
fn mistakes(toml: &str) -> Vec<String> {
    let mistakes = Config::parse_str(toml).expect_err("something is wrong");
    mistakes.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn the_default_is_right_and_embedded_moves_it() {
    assert_eq!(Config::parse_str(""), Ok(Config::default()));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config::embedded(Path::new("/srv/longshore"), listen);
    assert_eq!(config.storage.folder, Path::new("/srv/longshore/objects"));
    assert_eq!(config.database.file, Path::new("/srv/longshore/registry.db"));
    assert_eq!(config.listen.address, listen);
}

#[test]
fn what_is_shown_of_the_default_loads_to_the_default() {
    let loaded = Config::load(None, std::iter::empty(), Vec::new()).expect("the default is right");
    let shown = loaded.render(false);
    assert_eq!(Config::parse_str(&shown), Ok(Config::default()), "{shown}");
    assert!(shown.contains("part_size = \"8MiB\"") && shown.contains("idle_timeout = \"24h\""), "{shown}");
}

#[test]
fn a_bucket_and_a_server_are_read_whole() {
    let config = Config::parse_str(
        "[storage]\nkind = 's3'\nbucket = 'images'\nendpoint = 'http://127.0.0.1:9000/'\n\
         access_key_id = 'id'\nsecret_access_key_file = '/run/secrets/key'\nredirect = 'large'\n\
         redirect_networks = ['10.0.0.0/8']\n\
         [database]\nkind = 'postgres'\nurl = 'postgres://localhost/registry'\n\
         [listen]\nadmin_address = 'off'\npublic_url = 'https://registry.example.org'\n",
    )
    .expect("nothing is wrong");
    assert_eq!(config.storage.kind, StorageKind::S3);
    assert!(config.storage.secret_access_key.is_set());
    assert_eq!(config.listen.admin_address, None);
    assert_eq!(config.max_blob_size(), ByteSize::mebibytes(80_000));
}

#[test]
fn there_is_an_audit_log_where_callers_are_asked_who_they_are() {
    let is_audited = |toml: &str| Config::parse_str(toml).expect("nothing is wrong").is_audited();
    assert_eq!([is_audited(""), is_audited("[auth]\nenabled = true")], [false, true]);
    assert!(is_audited("[audit]\nenabled = 'on'") && !is_audited("[auth]\nenabled = true\n[audit]\nenabled = 'off'"));
    let told = mistakes("[audit]\nretention = '0s'\nqueue = 0\nlines_per_second = 0");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn tokens_hold_for_as_long_as_their_keys_are_published() {
    let config = Config::parse_str("[auth]\nenabled = true").expect("nothing is wrong");
    assert_eq!([config.auth.token_lifetime, config.auth.peer_token_lifetime], [Duration::seconds(300), Duration::hours(1)]);
    for (toml, words) in [
        ("token_lifetime = '59s'", "auth.token_lifetime: must be from"),
        ("peer_token_lifetime = '59s'", "auth.peer_token_lifetime: must be from"),
        ("peer_token_lifetime = '25h'\n[keys]\noverlap = '2d'", "auth.peer_token_lifetime: must be from"),
        ("[keys]\noverlap = '59m'", "a token must be good for as long as it says"),
        ("token_lifetime = '2h'\n[keys]\noverlap = '90m'", "a token must be good for as long as it says"),
    ] {
        let told = mistakes(&format!("[auth]\nenabled = true\n{toml}"));
        assert!(told.len() == 1 && told[0].contains(words), "{toml}: {told:?}");
    }
    for toml in
        ["peer_token_lifetime = '30m'\n[keys]\noverlap = '59m'", "peer_token_lifetime = '1d'", "peer_token_lifetime = '1m'"]
    {
        Config::parse_str(&format!("[auth]\nenabled = true\n{toml}")).expect("nothing is wrong");
    }
}

#[test]
fn every_conflict_is_told_at_once() {
    let toml = "\
[listen]
address = '0.0.0.0:5000'
admin_address = '0.0.0.0:5001'
idle_timeout = '0s'
[storage]
kind = 's3'
part_size = '4MiB'
access_key_id = 'id'
backoff_min = '2s'
redirect_expiry = '8d'
[database]
kind = 'postgres'
[uploads]
memory_budget = '2MiB'
[manifests]
max_size = '1MiB'
";
    let mistakes = mistakes(toml);
    let starts = [
        "registry.toml:2: listen.address: other machines can reach this address, and whoever does may do everything: set auth",
        "registry.toml:2: listen.address: other machines can reach this address: set tls_certificate_file",
        "registry.toml:3: listen.admin_address: other machines",
        "registry.toml:4: listen.idle_timeout: must be longer than 0s",
        "registry.toml:6: storage.kind: kind = \"s3\" needs a bucket",
        "registry.toml:7: storage.part_size: 4MiB is not from 5MiB to 5GiB, as S3 demands",
        "registry.toml:8: storage.access_key_id: access_key_id and secret_access_key belong together",
        "registry.toml:9: storage.backoff_min: 2s is longer than backoff_max, 1s",
        "registry.toml:10: storage.redirect_expiry: must be from 1s to 7d",
        "registry.toml:12: database.kind: kind = \"postgres\" needs a url",
        "registry.toml:14: uploads.memory_budget: a part of 4MiB (storage.part_size) does not fit the budget of 2MiB",
        "registry.toml:16: manifests.max_size: 1MiB is less than 4MiB",
    ];
    assert_eq!(mistakes.len(), starts.len(), "{mistakes:#?}");
    for (mistake, start) in mistakes.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake}\ndoes not start with\n{start}");
    }
}

#[test]
fn a_verdict_holds_for_a_while_and_longer_while_nobody_can_be_asked() {
    let policy = |toml: &str| Config::parse_str(&format!("[policy]\n{toml}\n")).expect("nothing is wrong").policy;
    let default = policy("");
    assert_eq!((default.verdict_ttl, default.verdict_stale), (Duration::seconds(60), Duration::hours(1)));
    for toml in ["verdict_ttl = '1s'\nverdict_stale = '1s'", "verdict_ttl = '1d'\nverdict_stale = '7d'"] {
        policy(toml);
    }
    for (toml, told) in [
        ("verdict_ttl = '999ms'", "2: policy.verdict_ttl: must be from 1s to 1d"),
        ("verdict_ttl = '25h'\nverdict_stale = '7d'", "2: policy.verdict_ttl: must be from 1s to 1d"),
        ("verdict_ttl = '2h'", "2: policy.verdict_ttl: 1h is not from verdict_ttl, 2h, to 7d"),
        ("verdict_stale = '59s'", "2: policy.verdict_stale: 59s is not from verdict_ttl, 1m, to 7d"),
        ("verdict_ttl = '2h'\nverdict_stale = '169h'", "3: policy.verdict_stale: 169h is not from verdict_ttl, 2h, to 7d"),
    ] {
        assert_eq!(mistakes(&format!("[policy]\n{toml}\n")), [format!("registry.toml:{told}")], "{toml}");
    }
}

#[test]
fn a_folder_does_not_redirect_and_parts_are_whole_mebibytes() {
    let told = mistakes("[storage]\nredirect = 'always'\npart_size = '1500KB'\n");
    assert_eq!(told[0], "registry.toml:2: storage.redirect: a folder has no URL to redirect to; only kind = \"s3\" does");
    assert_eq!(told[1], "registry.toml:3: storage.part_size: 1500KB is not a multiple of 1MiB");
}

#[test]
fn the_admin_listener_has_an_address_of_its_own() {
    let told = mistakes("[listen]\naddress = '127.0.0.1:5001'\n");
    assert_eq!(told, ["registry.toml:2: listen.address: the admin listener needs an address of its own"]);
}

#[test]
fn tls_needs_both_files_and_files_that_exist() {
    let told = mistakes("[listen]\ntls_key_file = '/nowhere/tls.key'\n");
    assert_eq!(told, ["registry.toml:2: listen.tls_key_file: TLS needs both tls_certificate_file and tls_key_file"]);
    let flags = [("listen.tls_certificate_file", "/nowhere/tls.crt"), ("listen.tls_key_file", "/nowhere/tls.key")];
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let told = Config::load(None, std::iter::empty(), flags).expect_err("there are no such files").to_string();
    assert!(told.starts_with("flag --listen.tls_certificate_file: /nowhere/tls.crt cannot be read: "), "{told}");
}

#[test]
fn clients_certificates_need_tls_and_authorities() {
    let told = mistakes("[listen]\ntls_client_ca_file = '/nowhere/ca.crt'\n");
    let expected = "clients show certificates over TLS alone: set tls_certificate_file and tls_key_file too";
    assert_eq!(told, [format!("registry.toml:2: listen.tls_client_ca_file: {expected}")]);
    let told = mistakes("[listen]\ntls_client_crl_file = '/nowhere/ca.crl'\ntls_client_certificates = 'required'\n");
    assert!(told[0].starts_with("registry.toml:2: listen.tls_client_crl_file: it is of authorities"), "{told:?}");
    assert!(told[1].starts_with("registry.toml:3: listen.tls_client_certificates: it must be said"), "{told:?}");
    let told = mistakes("[listen]\ntls_client_certificates = 'always'\n");
    assert!(told[0].contains("expected one of optional, required"), "{told:?}");
}

#[test]
fn the_environment_reaches_every_section() {
    let env = [("LONGSHORE_REGISTRY__SWEEP__INTERVAL", "1s"), ("LONGSHORE_REGISTRY__LOG__FILTER", "info,x=debug")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, env.into_iter(), Vec::new()).expect("nothing is wrong").config;
    assert_eq!(config.sweep.interval, Duration::seconds(1));
    assert_eq!(config.telemetry_settings().filter.to_string(), "info,x=debug");
}

proptest! {
    #[test]
    fn any_value_of_any_key_is_read_or_refused(key in "(listen|storage|uploads)\\.[a-z_]{1,20}", value: String) {
        let _ = Config::load(None, std::iter::empty(), vec![(key, value)]);
    }
}
