use super::*;

const FOLDER: &str = "etc/containers/registries.conf.d";
const MAIN: &str = "etc/containers/registries.conf";

/// The mirrors of the first registry in a file.
fn mirrors(node: &Node, path: &str) -> Vec<String> {
    let read = node.toml(path);
    let mirrors = read["registry"][0]["mirror"].as_array().unwrap();
    mirrors.iter().map(|mirror| mirror["location"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_registry_gets_a_file_and_loses_it_again() {
    let node = Node::new();
    let report = node.install(Runtime::Crio, &["docker.io", "localhost:5000=ours"]);
    assert_eq!(done(&report), [Done::Written, Done::Written]);
    assert_eq!(report.notes, [Note::ReloadCrio]);
    let hub = format!("{FOLDER}/50-longshore-docker.io.conf");
    assert_eq!(mirrors(&node, &hub), ["127.0.0.1:5200/docker.io"]);
    assert_eq!(node.toml(&hub)["registry"][0]["mirror"][0]["insecure"].as_bool(), Some(true));
    assert_eq!(mirrors(&node, &format!("{FOLDER}/50-longshore-localhost_5000.conf")), ["127.0.0.1:5200/ours"]);
    assert_eq!(done(&node.install(Runtime::Podman, &["docker.io"])), [Done::WasThere]);
    assert_eq!(done(&node.remove(Runtime::Podman, &["docker.io"])), [Done::Removed]);
    assert_eq!(done(&node.remove(Runtime::Podman, &["localhost:5000"])), [Done::Removed]);
    assert_eq!(node.all(), []);
}

#[test]
fn a_registry_that_has_a_table_keeps_it() {
    let (main, last) =
        ("unqualified-search-registries = [\"docker.io\"]\n", "[[registry]]\nlocation = \"docker.io\"\ninsecure = true # so");
    let early = "[[registry]]\nlocation = \"docker.io\"\n";
    let node = Node::with(&[(MAIN, main), (&format!("{FOLDER}/10-a.conf"), early), (&format!("{FOLDER}/90-z.conf"), last)]);
    node.write(&format!("{FOLDER}/99-none.txt"), "[[registry]");
    let before = node.all();
    let report = node.install(Runtime::Podman, &["docker.io"]);
    let file = format!("{FOLDER}/90-z.conf");
    assert!(report.outcomes[0].path.as_ref().unwrap().ends_with(&file), "the last one counts: {report}");
    assert_eq!(mirrors(&node, &file), ["127.0.0.1:5200/docker.io"]);
    assert_eq!(node.toml(&file)["registry"][0]["insecure"].as_bool(), Some(true));
    node.remove(Runtime::Podman, &["docker.io"]);
    assert_eq!(node.all(), before);
}

#[test]
fn a_table_that_comes_later_takes_the_mirror_over() {
    let node = Node::new();
    node.install(Runtime::Podman, &["docker.io"]);
    node.write(MAIN, "[[registry]]\nlocation = \"docker.io\"\nblocked = false\n");
    assert_eq!(done(&node.install(Runtime::Podman, &["docker.io"])), [Done::Written]);
    assert_eq!(mirrors(&node, MAIN), ["127.0.0.1:5200/docker.io"]);
    assert_eq!(installed(&node.request(Runtime::Podman, &[])).unwrap().len(), 1);
    assert!(!node.path(FOLDER).exists());
    node.remove(Runtime::Podman, &["docker.io"]);
    assert_eq!(node.read(MAIN), "[[registry]]\nlocation = \"docker.io\"\nblocked = false\n");
}

#[test]
fn a_registry_that_is_blocked_among_others_stays_so() {
    let node = Node::with(&[(MAIN, "[[registry]]\nprefix = \"*.example\"\nblocked = true\n")]);
    let before = node.all();
    let refused = install(&node.request(Runtime::Podman, &["docker.io", "r.example"])).unwrap_err();
    assert!(matches!(&refused, MirrorError::Covered { by, .. } if by == "*.example"), "{refused}");
    assert_eq!(node.all(), before);
}

#[test]
fn a_folder_of_ones_own_is_used_in_place_of_the_nodes() {
    let node = Node::new();
    let request = Request { config: Some("/home/a/registries.conf.d".into()), ..node.request(Runtime::Podman, &["docker.io"]) };
    install(&request).unwrap();
    assert!(node.path("home/a/registries.conf.d/50-longshore-docker.io.conf").exists());
    remove(&request).unwrap();
    assert_eq!(node.all(), []);
}

#[test]
fn what_keeps_pulls_from_the_mirror_is_told() {
    let node = Node::with(&[(
        MAIN,
        "[[registry]]\nlocation = \"a.example\"\nblocked = true\n[[registry]]\nlocation = \"b.example\"\n\
         mirror-by-digest-only = true\n[[registry]]\nlocation = \"c.example\"\nblocked = false\nmirror-by-digest-only = false\n",
    )]);
    for _ in ["at first", "where it was there already"] {
        let report = node.install(Runtime::Podman, &["a.example", "b.example", "c.example"]);
        let is = |note: &Note| match note {
            Note::Blocked { registry, .. } => ("blocked", registry.clone()),
            Note::DigestsOnly { registry, .. } => ("digests", registry.clone()),
            other => unreachable!("{other}"),
        };
        let told: Vec<_> = report.notes.iter().map(is).collect();
        assert_eq!(told, [("blocked", "a.example".to_owned()), ("digests", "b.example".to_owned())]);
        let text = report.to_string();
        assert!(
            text.contains("by a tag does not go through the node") && text.contains("nothing of it is pulled at all"),
            "{text}"
        );
    }
}
