//! The arrows between crates are those that the design draws, and no others.

use longshore_tests::run_ok;
use serde_json::Value;

longshore_tests::once!(crates_depend_on_each_other_as_drawn, the_nouns_are_pure,);

/// Who may depend on whom. `tests` and `bench` may use any crate, and none may use them, but that `bench` uses what `tests` plays and starts.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "longshore",
        &[
            "longshore-registry",
            "longshore-edge-cache",
            "longshore-node",
            "longshore-orchestrator",
            "longshore-p2p",
            "longshore-client",
            "longshore-service",
            "longshore-fleet",
            "longshore-oci",
        ],
    ),
    ("longshore-orchestrator", &["longshore-client", "longshore-service", "longshore-fleet", "longshore-oci"]),
    (
        "longshore-node",
        &["longshore-edge-cache", "longshore-p2p", "longshore-client", "longshore-service", "longshore-fleet", "longshore-oci"],
    ),
    ("longshore-registry", &["longshore-client", "longshore-service", "longshore-oci"]),
    ("longshore-edge-cache", &["longshore-client", "longshore-service", "longshore-oci"]),
    ("longshore-p2p", &["longshore-service", "longshore-oci"]),
    ("longshore-client", &["longshore-fleet", "longshore-oci"]),
    ("longshore-service", &["longshore-oci"]),
    ("longshore-fleet", &["longshore-oci"]),
    ("longshore-oci", &[]),
];

async fn crates_depend_on_each_other_as_drawn() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path", manifest];
    let metadata: Value = serde_json::from_str(&run_ok(&cargo, arguments).await).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a workspace has packages");
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        if ["longshore-tests", "longshore-bench"].contains(&name) {
            continue;
        }
        let (_, allowed) =
            ARROWS.iter().find(|(from, _)| *from == name).unwrap_or_else(|| panic!("the design draws no crate {name}"));
        found.push(name);
        for dependency in package["dependencies"].as_array().expect("a package has a list of them") {
            let to = dependency["name"].as_str().expect("a dependency has a name");
            let is_ours = to.starts_with("longshore");
            assert!(!is_ours || allowed.contains(&to), "{name} -> {to} is not drawn");
        }
    }
    assert_eq!(found.len(), ARROWS.len(), "every crate that is drawn is there: {found:?}");
}

/// The pure crates stay pure: nothing in them can reach a socket, a file or a clock.
async fn the_nouns_are_pure() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    for package in ["longshore-oci", "longshore-fleet"] {
        let arguments =
            ["tree", "--offline", "--edges=normal", "--prefix=none", "--package", package, "--manifest-path", manifest];
        let tree = run_ok(&cargo, arguments).await;
        for banned in ["tokio ", "hyper ", "sqlx ", "reqwest ", "axum "] {
            assert!(!tree.lines().any(|line| line.starts_with(banned)), "{package} depends on {banned}");
        }
    }
}
