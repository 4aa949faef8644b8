use super::*;

const HUB: &str = "etc/containerd/certs.d/docker.io/hosts.toml";

/// A request that edits containerd's own configuration.
fn editing(node: &Node) -> Request {
    Request { edits_containerd_config: true, ..node.request(Runtime::Containerd, &["docker.io"]) }
}

#[test]
fn each_registry_gets_a_file_and_loses_it_again() {
    let node = Node::new();
    let report = node.install(Runtime::Containerd, &["docker.io", "http://10.0.0.5:5000", "_default"]);
    assert_eq!(done(&report), [Done::Written, Done::Written, Done::Written]);
    let hub = node.toml(HUB);
    assert_eq!(hub["host"][MIRROR].to_string(), "{ capabilities = [\"pull\", \"resolve\"] }");
    assert!(!hub.contains_key("server"), "containerd knows where that is");
    assert_eq!(node.toml("etc/containerd/certs.d/10.0.0.5:5000/hosts.toml")["server"].as_str(), Some("http://10.0.0.5:5000"));
    let mode = fs::metadata(node.path(HUB)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let report = node.remove(Runtime::Containerd, &[]);
    assert_eq!(done(&report), [Done::Removed, Done::Removed, Done::Removed]);
    assert_eq!(node.all(), []);
}

#[test]
fn folders_that_were_made_go_with_the_last_that_is_in_them() {
    let node = Node::new();
    node.install(Runtime::Containerd, &["docker.io"]);
    node.install(Runtime::Containerd, &["ghcr.io"]);
    node.remove(Runtime::Containerd, &["docker.io"]);
    node.remove(Runtime::Containerd, &["ghcr.io"]);
    assert_eq!(node.all(), []);
    fs::create_dir_all(node.path("etc/containerd/certs.d/docker.io")).unwrap();
    let before = node.all();
    node.install(Runtime::Containerd, &["docker.io", "ghcr.io"]);
    node.remove(Runtime::Containerd, &["docker.io", "ghcr.io"]);
    assert_eq!(node.all(), before, "these were another's");
}

#[test]
fn what_others_wrote_stays_before_and_after() {
    let theirs = "# ours\nserver = \"https://r.example\"\n[host.\"https://m.example\"]\n  ca = \"x.crt\" # no newline at the end";
    let node = Node::with(&[(HUB, theirs)]);
    node.install(Runtime::Containerd, &["docker.io"]);
    assert!(node.read(HUB).find(MIRROR).unwrap() < node.read(HUB).find("m.example").unwrap());
    node.write(HUB, &format!("# another's\n{}\n# and more", node.read(HUB)));
    node.remove(Runtime::Containerd, &["docker.io"]);
    assert_eq!(node.read(HUB), format!("# another's\n{theirs}\n# and more"));
    let both = Node::new();
    both.install(Runtime::Containerd, &["docker.io"]);
    both.write(HUB, &format!("{}[host.\"https://m.example\"]\n", both.read(HUB)));
    both.remove(Runtime::Containerd, &["docker.io"]);
    assert_eq!(both.read(HUB), "[host.\"https://m.example\"]\n");
}

#[test]
fn the_folder_is_the_one_that_containerd_looks_into() {
    let written = |node: &Node| node.install(Runtime::Containerd, &["localhost:5000"]).outcomes[0].path.clone().unwrap();
    let ends = |path: PathBuf, end: &str| assert!(path.ends_with(end), "{}", path.display());
    ends(written(&Node::new()), "etc/containerd/certs.d/localhost:5000/hosts.toml");
    let node =
        Node::with(&[("etc/docker/certs.d/localhost:5000/ca.crt", "x"), ("etc/docker/certs.d/localhost:5000/a.cert", "x")]);
    ends(written(&node), "etc/docker/certs.d/localhost:5000/hosts.toml");
    let read = node.toml("etc/docker/certs.d/localhost:5000/hosts.toml");
    assert_eq!((read["ca"].to_string(), read["client"].to_string()), ("[\"ca.crt\"]".to_owned(), "[\"a.cert\"]".to_owned()));
    ends(
        written(&Node::with(&[("etc/containerd/certs.d/localhost_5000_/hosts.toml", "")])),
        "certs.d/localhost_5000_/hosts.toml",
    );
    let config = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/opt/hosts\"\n";
    let node = Node::with(&[("etc/containerd/config.toml", config)]);
    ends(written(&node), "opt/hosts/localhost:5000/hosts.toml");
    assert_eq!(node.install(Runtime::Containerd, &["localhost:5000"]).notes, []);
}

#[test]
fn what_is_for_all_registries_is_not_hidden() {
    let node = Node::with(&[("etc/containerd/certs.d/_default/hosts.toml", "ca = \"/etc/ca.crt\"\n")]);
    let before = node.all();
    let refused = install(&node.request(Runtime::Containerd, &["docker.io"])).unwrap_err();
    assert!(matches!(refused, MirrorError::Covered { .. }), "{refused}");
    assert_eq!(node.all(), before);
    node.install(Runtime::Containerd, &["_default"]);
    node.remove(Runtime::Containerd, &["_default"]);
    assert_eq!(node.all(), before);
    let ours = Node::new();
    ours.install(Runtime::Containerd, &["_default"]);
    ours.install(Runtime::Containerd, &["docker.io"]);
    assert_eq!(installed(&ours.request(Runtime::Containerd, &[])).unwrap().len(), 2, "what is ours hides nothing");
}

#[test]
fn that_cri_does_not_read_it_is_said_or_changed() {
    let config = "version = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"\"\n";
    let node = Node::with(&[("etc/containerd/config.toml", config)]);
    let before = node.all();
    let report = node.install(Runtime::Containerd, &["docker.io"]);
    let [Note::ConfigPathMissing { lines, .. }] = report.notes.as_slice() else { panic!("{report}") };
    assert!(lines.contains("config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\""), "{lines}");
    assert_eq!(node.read("etc/containerd/config.toml"), config);

    assert_eq!(install(&editing(&node)).unwrap().notes, [Note::RestartContainerd]);
    assert_eq!(install(&editing(&node)).unwrap().notes, []);
    assert_eq!(remove(&editing(&node)).unwrap().notes, [Note::RestartContainerd]);
    assert_eq!(node.all(), before);

    install(&Request { registries: vec!["ghcr.io".parse().unwrap()], ..editing(&node) }).unwrap();
    assert_eq!(install(&editing(&node)).unwrap().notes, []);
    assert_eq!(remove(&editing(&node)).unwrap().notes, [], "another is still there");
    remove(&Request { registries: Vec::new(), ..editing(&node) }).unwrap();
    assert_eq!(node.all(), before);

    let bare = Node::new();
    install(&editing(&bare)).unwrap();
    assert_eq!(bare.toml("etc/containerd/config.toml")["version"].as_integer(), Some(2));
    remove(&editing(&bare)).unwrap();
    assert_eq!(bare.all(), []);
}

#[test]
fn mirrors_of_the_old_form_rule_it_out() {
    let config = "[plugins.cri.registry.mirrors.\"docker.io\"]\nendpoint = [\"https://m\"]\n";
    let node = Node::with(&[("etc/containerd/config.toml", config)]);
    let report = install(&editing(&node)).unwrap();
    assert!(matches!(report.notes.as_slice(), [Note::OldMirrors { .. }]), "{report}");
    assert_eq!(node.read("etc/containerd/config.toml"), config);
}
