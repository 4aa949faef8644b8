use super::*;

crate::choice! {
    /// A kind of store.
    pub enum Kind {
        /// A folder.
        Folder = "folder",
        /// A bucket.
        S3 = "s3",
    }
}

#[derive(Clone, Debug)]
struct Storage {
    kind: Kind,
    bucket: String,
    part_size: ByteSize,
    networks: Vec<Network>,
    key: Secret,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kind: Kind::Folder,
            bucket: String::new(),
            part_size: ByteSize::mebibytes(8),
            networks: Vec::new(),
            key: Secret::default(),
        }
    }
}
crate::settings!(Storage { kind, bucket, part_size, networks, key });

#[derive(Clone, Debug, Default)]
struct Limits {
    wait: Duration,
    count: u16,
    plain: bool,
}
crate::settings!(Limits { wait, count, plain });

#[derive(Clone, Debug, Default)]
struct Config {
    storage: Storage,
    limits: Limits,
}
crate::sections!(Config { storage, limits });

impl Layout for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        if self.storage.kind == Kind::S3 && self.storage.bucket.is_empty() {
            problems.add(&["storage.bucket", "storage.kind"], "s3 needs a bucket");
        }
        if self.limits.count > 100 {
            problems.add(&["limits.count"], "too many");
        }
        if self.storage.part_size.as_bytes() > 1 << 30 {
            problems.add(&["storage.part_size", "limits.count"], "too large");
        }
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Loads with a file of this text; mistakes name it `registry.toml`.
fn load_all(toml: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded<Config>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registry.toml");
    std::fs::write(&file, toml).expect("a file");
    let prefix = format!("{}/", folder.path().display());
    load("registry", Some(&file), pairs(env).into_iter(), pairs(flags))
        .map_err(|mistakes| mistakes.to_string().replace(&prefix, ""))
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let toml = "[storage]\nbucket = 'file'\npart_size = 1048576\nnetworks = ['10.0.0.0/8']\n[limits]\nwait = '3s'\n";
    let env = [
        ("LONGSHORE_REGISTRY__STORAGE__BUCKET", "env"),
        ("LONGSHORE_REGISTRY__LIMITS__WAIT", "4s"),
        ("LONGSHORE_REGISTRY__STORAGE__NETWORKS", "fd00::/8, 127.0.0.1"),
        ("LONGSHORE_REGISTRY_URL", "somebody else's"),
        ("LONGSHORE_EDGE__STORAGE__BUCKET", "another daemon's"),
    ];
    let loaded = load_all(toml, &env, &[("storage.bucket", "flag"), ("limits.plain", "true")]).expect("no mistake");
    let Config { storage, limits } = &loaded.config;
    assert_eq!(storage.bucket, "flag");
    assert_eq!(limits.wait, Duration::seconds(4));
    assert_eq!(storage.part_size, ByteSize::mebibytes(1));
    assert_eq!(storage.networks.len(), 2);
    assert!(limits.plain);
    assert_eq!(limits.count, 0);
}

#[test]
fn all_mistakes_are_told_together_each_with_its_source() {
    let toml = "\
[storage]
kind = 's4'
buckett = 'x'
part_size = '8M'
networks = ['10.0.0.0/8', 7]
wait = '3s'

[limits]
count = 70000
plain = 'yes'

[storag]
x = 1
";
    let env = [("LONGSHORE_REGISTRY__LIMITS__WAIT", "30"), ("LONGSHORE_REGISTRY__STORAGE", "x")];
    let flags = [("limits.count", "101"), ("limits.colour", "red"), ("storage.key", "hush")];
    let mistakes = load_all(toml, &env, &flags).expect_err("nearly everything is wrong");
    let expected = [
        r#"registry.toml:2: storage.kind: "s4": expected one of folder, s3"#,
        r#"registry.toml:3: storage.buckett: unknown key; did you mean "storage.bucket"?"#,
        r#"registry.toml:4: storage.part_size: "8M": the unit of a size is one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"#,
        "registry.toml:5: storage.networks: expected strings, found an integer in the list",
        r#"registry.toml:6: storage.wait: unknown key; did you mean "limits.wait"?"#,
        "registry.toml:9: limits.count: expected a whole number from 0 to 65535",
        "registry.toml:10: limits.plain: expected true or false, found a string",
        r#"registry.toml:13: storag.x: unknown section "storag"; did you mean "storage"?"#,
        "environment LONGSHORE_REGISTRY__LIMITS__WAIT: \"30\": a duration needs a unit: ms, s, m, h or d",
        "environment LONGSHORE_REGISTRY__STORAGE: this is a section; name a key of it",
        "flag --limits.colour: unknown key",
    ];
    assert_eq!(mistakes.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_problem_of_meaning_is_traced_to_what_was_given() {
    let toml = "[storage]\nkind = 's3'\npart_size = '2GiB'";
    let mistakes = load_all(toml, &[], &[("limits.count", "101")]).expect_err("three conflicts");
    let expected = [
        "registry.toml:2: storage.kind: s3 needs a bucket",
        "registry.toml:3: storage.part_size: too large",
        "flag --limits.count: too many",
    ];
    assert_eq!(mistakes.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn syntax_errors_have_lines_and_do_not_hide_the_rest() {
    let mistakes = load_all("[storage]\nbucket = \nkinds = 's3'\n", &[], &[]).expect_err("a value is missing");
    assert!(mistakes.starts_with("registry.toml:2: not TOML: "), "{mistakes}");
    assert!(mistakes.contains("registry.toml:3: storage.kinds: unknown key"), "{mistakes}");
    let flags = vec![("storage.kind".to_owned(), "s3".to_owned())];
    let missing = load::<Config>("registry", Some("/nowhere/at/all.toml".as_ref()), std::iter::empty(), flags);
    let missing = missing.expect_err("there is no such file").to_string();
    assert!(missing.starts_with("/nowhere/at/all.toml: cannot be read: "), "{missing}");
    assert_eq!(missing.lines().count(), 1, "a bucket may stand in that file: {missing}");
}

#[test]
fn a_secret_comes_from_its_file_and_is_not_given_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "hush\n").expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    let loaded = load_all("", &[("LONGSHORE_REGISTRY__STORAGE__KEY_FILE", path)], &[]).expect("no mistake");
    assert_eq!(loaded.config.storage.key.reveal(), "hush");
    assert!(!format!("{:?}", loaded.config).contains("hush"));
    let twice = load_all("[storage]\nkey = 'other'", &[], &[("storage.key_file", path)]).expect_err("two keys");
    let sentence = "flag --storage.key_file: storage.key is also set (registry.toml:2); give one of the two";
    assert_eq!(twice, sentence);
    let missing = load_all("[storage]\nkey_file = '/nowhere/at/all'", &[], &[]).expect_err("no such file");
    assert!(missing.starts_with("registry.toml:2: storage.key_file: /nowhere/at/all cannot be read"), "{missing}");
    let folder = load_all("[storage]\nkey_file = '/'", &[], &[]).expect_err("not a file");
    assert_eq!(folder, "registry.toml:2: storage.key_file: / is not a regular file");
}

#[test]
fn what_is_shown_loads_again_and_hides_secrets_on_request() {
    let toml = "[storage]\nbucket = 'a \"b\" \\ c'\nkey = 'hush'\nnetworks = ['10.0.0.0/8']\n";
    let loaded = load_all(toml, &[], &[("limits.wait", "24h")]).expect("no mistake");
    let shown = loaded.render(false);
    assert!(shown.contains("key = \"hush\""), "{shown}");
    assert!(shown.contains("wait = \"24h\"  # flag --limits.wait\n"), "{shown}");
    let again = load_all(&shown, &[], &[]).expect("what was shown is right").config;
    assert_eq!(format!("{again:?}"), format!("{:?}", loaded.config));
    assert_eq!(again.storage.key.reveal(), "hush");
    let redacted = loaded.render(true);
    assert!(redacted.contains("key = \"<redacted>\"") && !redacted.contains("hush"), "{redacted}");
}

#[derive(Clone, Debug, Default)]
struct Base {
    wait: Duration,
}
crate::settings!(Base { wait });

#[derive(Clone, Debug, Default)]
struct Peer {
    base: Base,
    url: String,
    hosts: Vec<String>,
    key: Secret,
}
crate::settings!(Peer { ..base, url, hosts, key });

#[derive(Clone, Debug, Default)]
struct Peers {
    limits: Limits,
    peer: Vec<Peer>,
}
crate::sections!(Peers { limits; peer });

impl Layout for Peers {
    fn check(&self, problems: &mut Problems<'_>) {
        for (position, peer) in self.peer.iter().enumerate() {
            if peer.url.is_empty() {
                problems.add(&[&format!("peer.{position}.url"), &format!("peer.{position}.wait")], "a peer needs a url");
            }
        }
    }
}

#[test]
fn sections_of_a_list_are_read_in_their_order_from_every_layer() {
    let toml = "[[peer]]\nurl = 'a'\nhosts = ['x', 'y']\nkey = 'hush'\n[[peer]]\nurl = 'b'\nwait = '3s'\n";
    let mut loaded = load_text::<Peers>("edge.toml", toml).expect("no mistake");
    let shown = loaded.render(false);
    assert!(shown.contains("\n[[peer]]\nwait = \"3s\"  # edge.toml:7\nurl = \"b\"  # edge.toml:6\nhosts = []\n"), "{shown}");
    let again = load_text::<Peers>("edge.toml", &shown).expect("what was shown is right");
    assert_eq!(format!("{:?}", again.config), format!("{:?}", loaded.config));
    assert!(!loaded.render(true).contains("hush"));
    let env = pairs(&[("LONGSHORE_EDGE__PEER__0__HOSTS", "z"), ("LONGSHORE_EDGE__PEER__0__URL", "c")]);
    loaded = load("edge", None, env.into_iter(), pairs(&[("peer.1.url", "d")])).expect("no mistake");
    let urls: Vec<&str> = loaded.config.peer.iter().map(|peer| peer.url.as_str()).collect();
    assert_eq!((urls, &loaded.config.peer[0].hosts), (vec!["c", "d"], &vec!["z".to_owned()]));
}

#[test]
fn mistakes_in_a_list_say_which_of_it() {
    let toml = "[[peer]]\nurls = 'a'\n[[peer]]\nwait = '1s'\n[[limits]]\ncount = 1\n[[peer]]\n";
    let told = load_text::<Peers>("edge.toml", toml).expect_err("nearly everything is wrong").to_string();
    let expected = [
        "edge.toml:2: peer.0.urls: unknown key; did you mean \"peer.0.url\"?",
        "edge.toml:4: peer.1.wait: a peer needs a url",
        "edge.toml:6: limits.0.count: there is one of this alone: write [limits] and its keys",
        "peer.0.url: a peer needs a url",
        "peer.2.url: a peer needs a url",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    let single = load_text::<Peers>("edge.toml", "[peer]\nurl = 'a'\n").expect_err("it is a list").to_string();
    assert_eq!(single, "edge.toml:2: peer.url: there may be several of these: write [[peer]] in the file, and peer.0 elsewhere");
    let flags = pairs(&[("peer.0.url", "a"), ("peer.0.key", "x"), ("peer.0.key_file", "/nowhere/at/all"), ("peer.64.url", "b")]);
    let told = load::<Peers>("edge", None, std::iter::empty(), flags).expect_err("two keys").to_string();
    let expected = [
        "flag --peer.0.key_file: peer.0.key is also set (flag --peer.0.key); give one of the two",
        "flag --peer.64.url: there may be 64 of these",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = load_text::<Config>("any.toml", &text);
        let _ = load_text::<Peers>("any.toml", &text);
    }
}
