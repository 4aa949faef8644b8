use super::*;

const FILE: &str = "etc/docker/daemon.json";
const NOTE: &str = "etc/docker/daemon.json.longshore";

#[test]
fn docker_hub_gets_a_mirror_and_loses_it_again() {
    for text in [
        None,
        Some(""),
        Some(" \n"),
        Some("{\n    \"debug\": true,\n    \"log-driver\": \"local\"\n}"),
        Some("{\"registry-mirrors\": []}\n"),
    ] {
        let node = text.map_or_else(Node::new, |text| Node::with(&[(FILE, text)]));
        let before = node.all();
        let report = node.install(Runtime::Docker, &["docker.io"]);
        assert_eq!((done(&report), report.notes), (vec![Done::Written], vec![Note::ReloadDocker]));
        assert!(node.read(FILE).contains(&format!("[\"{MIRROR}\"]")));
        let installed_now = node.all();
        let again = node.install(Runtime::Docker, &["docker.io"]);
        assert_eq!((done(&again), again.notes), (vec![Done::WasThere], vec![]));
        assert_eq!(node.all(), installed_now);
        let report = node.remove(Runtime::Docker, &["docker.io"]);
        let is_list_left = text.is_some_and(|text| text.contains("[]"));
        let remains = if is_list_left { Note::ReloadDocker } else { Note::RestartDocker };
        assert_eq!((done(&report), report.notes), (vec![Done::Removed], vec![remains]));
        assert_eq!(node.all(), before);
        assert_eq!(done(&node.remove(Runtime::Docker, &["docker.io"])), [Done::WasNotThere]);
    }
}

#[test]
fn docker_has_no_mirrors_for_others() {
    let node = Node::new();
    let refused = install(&node.request(Runtime::Docker, &["docker.io", "localhost:5000"])).unwrap_err().to_string();
    assert!(refused.contains("127.0.0.1:5200/localhost_5000/") && refused.contains("/etc/docker/certs.d"), "{refused}");
    assert_eq!(node.all(), []);
    assert_eq!(done(&node.remove(Runtime::Docker, &["ghcr.io"])), [Done::WasNotThere]);
}

#[test]
fn an_entry_that_another_wrote_stays() {
    let theirs = format!("{{\"registry-mirrors\": [\"{MIRROR}/\"]}}");
    let node = Node::with(&[(FILE, &theirs)]);
    assert_eq!(done(&node.install(Runtime::Docker, &["docker.io"])), [Done::IsAnothers]);
    assert_eq!(done(&node.remove(Runtime::Docker, &["docker.io"])), [Done::WasNotThere]);
    assert_eq!(node.read(FILE), theirs);
}

#[test]
fn an_install_that_was_cut_short_can_be_finished_or_undone() {
    for finishes in [true, false] {
        let node = Node::with(&[(FILE, "{\"a\": 1}")]);
        let before = node.all();
        node.install(Runtime::Docker, &["docker.io"]);
        // The note is written first, so this is what a crash leaves.
        node.write(FILE, "{\"a\": 1}");
        node.write("etc/docker/.daemon.json.longshore-new", "{\"a\": 1, \"regi");
        if finishes {
            assert_eq!(done(&node.install(Runtime::Docker, &["docker.io"])), [Done::Written]);
            assert_eq!(done(&node.remove(Runtime::Docker, &["docker.io"])), [Done::Removed]);
            assert_eq!(node.all(), before);
        } else {
            assert_eq!(done(&node.remove(Runtime::Docker, &["docker.io"])), [Done::WasNotThere]);
            assert!(!node.path(NOTE).exists());
            assert_eq!(node.read(FILE), "{\"a\": 1}");
        }
    }
}

#[test]
fn what_others_changed_meanwhile_stays() {
    let node = Node::new();
    node.install(Runtime::Docker, &["docker.io"]);
    node.write(FILE, &format!("{{\"registry-mirrors\": [\"https://m\", \"{MIRROR}\"], \"debug\": true}}"));
    node.remove(Runtime::Docker, &["docker.io"]);
    assert_eq!(node.read(FILE), "{\"registry-mirrors\": [\"https://m\"], \"debug\": true}");
    node.remove(Runtime::Docker, &[]);
    fs::remove_file(node.path(FILE)).unwrap();
    node.install(Runtime::Docker, &["docker.io"]);
    fs::remove_file(node.path(FILE)).unwrap();
    assert_eq!(done(&node.remove(Runtime::Docker, &[])), [Done::WasNotThere]);
    assert!(!node.path(NOTE).exists());
}
