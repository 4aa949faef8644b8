//! helm: charts are pushed and pulled by whoever may push and pull images, and nobody else.

use longshore_tests::{Account, Backend, Helm, Registry, done, on_both_backends, refused};

on_both_backends!(helm_logs_in_pushes_and_pulls,);

async fn helm_logs_in_pushes_and_pulls(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[("auth.failed_logins_per_account", 1000.into())]).await;
    let (admin, host) = (registry.admin(), registry.authority());
    let ci = admin.create_robot("ci", &[("push", "team/*")]).await;
    let reader = admin.create_person("reader", "a password to read", &[("pull", "team/*")]).await;
    let stranger = admin.create_robot("stranger", &[("push", "other/*")]).await;
    let [team, private] = ["team", "private"].map(|place| format!("oci://{host}/{place}"));
    let demo = format!("{team}/demo");
    let helm = Helm::new();
    let archive = helm.package("demo", "0.1.0").await;
    let packed = std::fs::read(&archive).unwrap();
    let push = async |helm: &Helm, to: &str| helm.run(&["push", "--plain-http", archive.to_str().unwrap(), to]).await;
    let pull = async |helm: &Helm, version: &str| helm.run(&["pull", "--plain-http", &demo, "--version", version]).await;

    refused(&push(&helm, &team).await);
    refused(&helm.login(host, &Account::of("ci", "lsr_not-its-secret")).await);
    let login = done(helm.login(host, &ci).await);
    assert!(format!("{login}").contains("Login Succeeded"), "{login}");
    let pushed = done(push(&helm, &team).await);
    assert!(format!("{pushed}").contains(&format!("{host}/team/demo:0.1.0")), "{pushed}");
    refused(&push(&helm, &private).await);
    let manifest = admin.get_manifest("team/demo", "0.1.0").await.expect(200).json();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.cncf.helm.config.v1+json", "{manifest}");
    // A tag has no plus sign, so helm writes another one for it.
    let build = helm.package("demo", "0.2.0+build.7").await;
    done(helm.run(&["push", "--plain-http", build.to_str().unwrap(), &team]).await);
    assert_eq!(admin.get("/v2/team/demo/tags/list").await.expect(200).texts("tags"), ["0.1.0", "0.2.0_build.7"]);

    let other = Helm::new();
    refused(&pull(&other, "0.1.0").await);
    done(other.login(host, &stranger).await);
    let denied = pull(&other, "0.1.0").await;
    refused(&denied);
    assert!(!other.folder().join("demo-0.1.0.tgz").exists(), "{denied}");
    done(other.login(host, &reader).await);
    done(pull(&other, "0.1.0").await);
    assert_eq!(std::fs::read(other.folder().join("demo-0.1.0.tgz")).unwrap(), packed);
    // The newest that fits, which it finds in the list of tags.
    done(pull(&other, ">=0.1.0").await);
    assert_eq!(std::fs::read(other.folder().join("demo-0.2.0+build.7.tgz")).unwrap(), std::fs::read(&build).unwrap());
    let made = done(other.run(&["template", "--plain-http", &demo, "--version", "0.1.0", "--set", "greeting=ahoy"]).await);
    assert!(made.stdout.contains("text: ahoy"), "{made}");
    refused(&push(&other, &team).await);
    done(other.run(&["registry", "logout", host]).await);
    refused(&pull(&other, "0.1.0").await);
}
