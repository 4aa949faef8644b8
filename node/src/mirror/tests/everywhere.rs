//! What is so for each runtime.

use super::*;

const ALL: [(Runtime, &str, &str); 3] = [
    (Runtime::Containerd, "etc/containerd/certs.d/docker.io/hosts.toml", "# ours\nserver = \"https://registry-1.docker.io\""),
    (Runtime::Podman, "etc/containers/registries.conf", "[[registry]]\nlocation = \"docker.io\" # ours"),
    (Runtime::Docker, "etc/docker/daemon.json", "{\n\t\"debug\": true\n}\n"),
];

#[test]
fn twice_is_once_and_the_files_are_what_they_were_afterwards() {
    for (runtime, path, text) in ALL {
        let node = Node::with(&[(path, text)]);
        let before = node.all();
        assert_eq!(done(&node.install(runtime, &["docker.io"])), [Done::Written]);
        let once = node.all();
        assert_eq!(done(&node.install(runtime, &["docker.io"])), [Done::WasThere]);
        assert_eq!(node.all(), once);
        let found = installed(&node.request(runtime, &["docker.io"])).unwrap();
        assert_eq!((found.len(), found[0].registry.as_str(), found[0].mirror.as_str()), (1, "docker.io", MIRROR));
        assert_eq!(installed(&node.request(runtime, &["ghcr.io"])).unwrap(), []);
        assert_eq!(done(&node.remove(runtime, &["docker.io"])), [Done::Removed]);
        assert_eq!(node.all(), before);
        assert_eq!(done(&node.remove(runtime, &["docker.io"])), [Done::WasNotThere]);
        assert_eq!(node.all(), before);
    }
}

#[test]
fn another_mirror_takes_the_place_and_is_not_removed_for_this_one() {
    for (runtime, ..) in ALL {
        let node = Node::new();
        let other = Request { mirror: "http://127.0.0.1:5300".parse().unwrap(), ..node.request(runtime, &["docker.io"]) };
        node.install(runtime, &["docker.io"]);
        assert_eq!(done(&install(&other).unwrap()), [Done::Written]);
        assert_eq!(installed(&other).unwrap()[0].mirror, "http://127.0.0.1:5300");
        assert!(!node.all().into_iter().any(|(_, text)| text.is_some_and(|text| text.contains("5200"))));
        assert_eq!(done(&node.remove(runtime, &["docker.io"])), [Done::OtherMirror("http://127.0.0.1:5300".to_owned())]);
        assert_eq!(done(&remove(&other).unwrap()), [Done::Removed]);
        assert_eq!(node.all(), []);
    }
}

#[test]
fn a_file_that_is_not_understood_is_left_alone() {
    for (runtime, path, _) in ALL {
        let node = Node::with(&[(path, "{[")]);
        let refused = install(&node.request(runtime, &["docker.io"])).unwrap_err();
        assert!(matches!(refused, MirrorError::Malformed { .. }), "{refused}");
        assert_eq!(node.read(path), "{[");
    }
    let node = Node::new();
    fs::create_dir_all(node.path("etc/docker")).unwrap();
    fs::write(node.path("etc/docker/daemon.json"), b"{\"a\": \"\xff\"}").unwrap();
    assert!(matches!(install(&node.request(Runtime::Docker, &["docker.io"])), Err(MirrorError::Io { .. })));
}

#[test]
fn all_are_written_or_none() {
    let node = Node::with(&[("etc/containerd/certs.d/b.example", "a file where a folder should be")]);
    let before = node.all();
    let refused = install(&node.request(Runtime::Containerd, &["a.example", "b.example"])).unwrap_err();
    assert!(matches!(refused, MirrorError::Io { .. }), "{refused}");
    assert_eq!(node.all(), before);
    // A folder that nobody can make anything in, whoever runs this.
    let request = Request { root: "/proc/self".into(), ..node.request(Runtime::Podman, &["docker.io"]) };
    let refused = install(&request).unwrap_err();
    assert!(matches!(refused, MirrorError::Io { .. }), "{refused}");
}

#[test]
fn those_before_one_that_can_not_be_written_are_put_back() {
    let theirs = "[[registry]]\nlocation = \"b.example\"\n";
    let node = Node::with(&[("etc/containers/registries.conf", theirs)]);
    // What is not whole yet can't be written here, since there is a folder in its place.
    fs::create_dir_all(node.path("etc/containers/.registries.conf.longshore-new/x")).unwrap();
    let before = node.all();
    let refused = install(&node.request(Runtime::Podman, &["a.example", "b.example"])).unwrap_err();
    assert!(matches!(refused, MirrorError::Io { .. }), "{refused}");
    assert_eq!(node.all(), before);
}

#[test]
fn what_a_crash_left_does_no_harm() {
    for (runtime, path, text) in ALL {
        let node = Node::with(&[(path, text)]);
        let before = node.all();
        let left = node.path(path).with_file_name(format!(".{}.longshore-new", node.path(path).file_name().unwrap().display()));
        fs::write(&left, "half of").unwrap();
        assert_eq!(done(&node.install(runtime, &["docker.io"])), [Done::Written]);
        assert!(!left.exists());
        node.remove(runtime, &["docker.io"]);
        assert_eq!(node.all(), before);
    }
}

#[test]
fn links_modes_and_owners_stay() {
    for (runtime, path, text) in ALL {
        let node = Node::with(&[("opt/real", text)]);
        fs::set_permissions(node.path("opt/real"), fs::Permissions::from_mode(0o640)).unwrap();
        // Only root can give a file away; others keep what is theirs.
        let _ = std::os::unix::fs::chown(node.path("opt/real"), Some(1234), Some(2345));
        let before = fs::metadata(node.path("opt/real")).unwrap();
        fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        symlink(node.path("opt/real"), node.path(path)).unwrap();
        assert_eq!(done(&node.install(runtime, &["docker.io"])), [Done::Written]);
        assert!(fs::symlink_metadata(node.path(path)).unwrap().is_symlink());
        let after = fs::metadata(node.path("opt/real")).unwrap();
        assert_ne!(after.ino(), before.ino(), "it was replaced as a whole");
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
        node.remove(runtime, &["docker.io"]);
        assert_eq!(node.read("opt/real"), text);
    }
}

#[test]
fn a_link_out_of_the_root_is_not_followed() {
    let (node, elsewhere) = (Node::new(), Node::with(&[("daemon.json", "{}")]));
    fs::create_dir_all(node.path("etc")).unwrap();
    symlink(elsewhere.root.path(), node.path("etc/docker")).unwrap();
    let refused = install(&node.request(Runtime::Docker, &["docker.io"])).unwrap_err();
    assert!(matches!(refused, MirrorError::OutsideRoot { .. }), "{refused}");
    let back = Request { config: Some("/a/../../daemon.json".into()), ..node.request(Runtime::Docker, &["docker.io"]) };
    assert!(matches!(install(&back), Err(MirrorError::OutsideRoot { .. })));
    assert_eq!(elsewhere.read("daemon.json"), "{}");
}

#[test]
fn many_at_once_lose_nothing() {
    let node = Node::with(&[("etc/containers/registries.conf", "")]);
    for number in 0..8 {
        let text = node.read("etc/containers/registries.conf");
        node.write("etc/containers/registries.conf", &format!("{text}[[registry]]\nlocation = \"r{number}.example\"\n"));
    }
    let before = node.all();
    thread::scope(|scope| {
        for number in 0..8 {
            let node = &node;
            scope.spawn(move || node.install(Runtime::Podman, &[&format!("r{number}.example")]));
        }
    });
    assert_eq!(installed(&node.request(Runtime::Podman, &[])).unwrap().len(), 8);
    node.remove(Runtime::Podman, &[]);
    assert_eq!(node.all(), before);
}

#[test]
fn a_request_needs_registries_that_the_runtime_knows() {
    let node = Node::new();
    for (runtime, ..) in ALL {
        assert!(matches!(install(&node.request(runtime, &[])), Err(MirrorError::NoRegistry)));
        assert_eq!(runtime.to_string().parse(), Ok(runtime));
    }
    for runtime in [Runtime::Podman, Runtime::Docker] {
        assert!(matches!(install(&node.request(runtime, &["_default"])), Err(MirrorError::NoSuchRegistry { .. })));
    }
    assert!("rkt".parse::<Runtime>().is_err());
    assert_eq!(node.all(), []);
}

#[test]
fn a_mark_that_lost_its_end_is_told_of() {
    let node = Node::new();
    node.install(Runtime::Podman, &["docker.io"]);
    let path = "etc/containers/registries.conf.d/50-longshore-docker.io.conf";
    node.write(path, &node.read(path).replace("# longshore: end", ""));
    let before = node.all();
    for refused in [remove(&node.request(Runtime::Podman, &[])), install(&node.request(Runtime::Podman, &["docker.io"]))] {
        assert!(matches!(&refused, Err(MirrorError::Form { .. })), "{refused:?}");
    }
    assert_eq!(node.all(), before);
}
