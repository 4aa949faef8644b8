use super::*;
use crate::schedule::Weights;

fn mistakes(toml: &str) -> String {
    Config::parse_str(toml).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn nothing_need_be_said() {
    let config = Config::parse_str("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.scheduler.weights(), Weights::default());
    assert!(config.listen.address.ip().is_loopback());
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = mistakes(
        "[listen]\naddress = \"0.0.0.0:5300\"\n[database]\nkind = \"postgres\"\n[registry]\nusername = \"a\"\ntimeout = \"0s\"\n\
         [leader]\nlease = \"2h\"\nnode_lost_after = \"5s\"\n[requests]\nmax_page = 0\n[scheduler]\nbalance = \"2h\"\n\
         [retention]\nanswers = \"1m\"\n",
    );
    for key in [
        "allow_anonymous",
        "tls_certificate_file",
        "advertise_url",
        "needs a url",
        "registry.username",
        "registry.timeout",
        "leader.lease",
        "leader.node_lost_after",
        "requests.max_page",
        "scheduler.balance",
        "retention.answers",
    ] {
        assert!(told.contains(key), "{key} is missing in\n{told}");
    }
}

#[test]
fn keys_come_over_a_safe_way() {
    let told = mistakes("[registry]\nurl = \"http://registry.example:5000\"\n[auth]\nmode = \"registry\"\n");
    assert!(told.contains("could be anybody's"), "{told}");
    let said = "[registry]\nurl = \"http://registry.example:5000\"\nallow_plain_http = true\n[auth]\nmode = \"registry\"\n";
    assert_eq!(Config::parse_str(said).unwrap().auth.mode, AuthMode::Registry);
}

#[test]
fn the_environment_names_what_the_file_does() {
    let environment = [("LONGSHORE_ORCHESTRATOR__LEADER__LEASE".to_owned(), "3s".to_owned())];
    let loaded = Config::load(None, environment.into_iter(), Vec::new()).unwrap();
    assert_eq!(loaded.config.leader.lease.to_string(), "3s");
}

#[test]
fn what_would_be_no_bound_is_none() {
    let told = mistakes(
        "[leader]\nnode_lost_after = \"99999d\"\ntimeout = \"1s\"\n[requests]\nmax_from_nodes = 0\nmax_from_strangers = 0\n\
         report_memory = \"1MiB\"\n[retention]\nmax_audit = 1\n[registry]\nprivate_hosts = [\"10.0.0.5\", \"hub:5000\"]\n",
    );
    for key in [
        "leader.node_lost_after",
        "leader.timeout",
        "requests.max_from_nodes",
        "requests.max_from_strangers",
        "requests.report_memory",
        "retention.max_audit",
        "hub:5000",
    ] {
        assert!(told.contains(key), "{key} is missing in\n{told}");
    }
    assert!(!told.contains("10.0.0.5"), "{told}");
}
