//! What an operator sees: `longshore up`, the configuration's mistakes, TLS, the image commands, health and metrics.

use std::{path::Path, time::Duration};

use longshore_tests::{
    Answer, Backend, Client, Image, Process, Random, Registry, longshore, on_both_backends, run, run_ok, temporary_folder, until,
};
use serde_json::Value;

on_both_backends!(metrics_tell_what_goes_on, images_are_shown_and_removed);
longshore_tests::once!(
    up_needs_no_configuration_and_loses_nothing,
    every_mistake_is_reported_with_file_and_line,
    secrets_are_not_shown,
    plain_http_stays_on_loopback_unless_said_otherwise,
    a_port_that_is_taken_is_said,
    tls_speaks_http_2_and_takes_a_new_certificate,
    a_folder_has_one_registry,
);

async fn up_needs_no_configuration_and_loses_nothing() {
    let mut registry = Registry::embedded().await;
    let image = Image::random(320, &[100_000]);
    registry.client().push_image("operator/up", "v1", &image).await;
    let log = registry.log();
    for words in ["Ctrl-C stops, nothing is lost", "docker push localhost:"] {
        assert!(log.contains(words), "it says what to do next: {log}");
    }
    registry.kill9();
    registry.restart().await;
    assert_eq!(registry.client().pull_image("operator/up", "v1").await, image.digest);
    registry.sigterm();
    assert_eq!(registry.ended(Duration::from_secs(20)).await.code(), Some(0));
    registry.restart().await;
    assert_eq!(registry.client().pull_image("operator/up", "v1").await, image.digest);
}

/// "all mistakes are reported together at start, with file and line"
async fn every_mistake_is_reported_with_file_and_line() {
    let folder = temporary_folder("mistakes");
    let file = folder.path().join("wrong.toml");
    let text = "[listen]\naddress = \"127.0.0.1:0\"\ndrain_timeout = \"soon\"\n[storage]\nkind = \"tape\"\n[uploads]\nmemory_budjet = \"1MiB\"\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for command in [&["registry", "serve"][..], &["registry", "config", "check"]] {
        let output = run(longshore(), [command, &["--config", path]].concat()).await;
        assert_eq!(output.code, Some(2), "{output}");
        for expected in
            ["wrong.toml:3", "wrong.toml:5", "wrong.toml:7", "drain_timeout", "tape", "memory_budjet", "memory_budget"]
        {
            assert!(output.stderr.contains(expected), "{expected} is not in: {output}");
        }
    }
    let output = run(longshore(), ["registry", "serve", "--config", "/nowhere/registry.toml"]).await;
    assert!(output.code == Some(2) && output.stderr.contains("/nowhere/registry.toml"), "{output}");
}

async fn secrets_are_not_shown() {
    let folder = temporary_folder("secrets");
    let file = folder.path().join("registry.toml");
    std::fs::write(folder.path().join("key"), "from-a-file\n").unwrap();
    let key = folder.path().join("key");
    let text = format!(
        "[storage]\nkind = \"s3\"\nbucket = \"b\"\naccess_key_id = \"id\"\nsecret_access_key_file = \"{}\"\n",
        key.display()
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    run_ok(longshore(), ["registry", "config", "check", "--config", path]).await;
    let shown =
        run_ok(longshore(), ["registry", "config", "show", "--redact", "--config", path, "--storage.bucket", "from-a-flag"])
            .await;
    assert!(shown.contains("from-a-flag") && !shown.contains("from-a-file"), "{shown}");
}

async fn plain_http_stays_on_loopback_unless_said_otherwise() {
    let folder = temporary_folder("plain");
    let file = folder.path().join("registry.toml");
    std::fs::write(&file, "[listen]\naddress = \"0.0.0.0:0\"\nadmin_address = \"off\"\n").unwrap();
    let output = run(longshore(), ["registry", "serve", "--config", file.to_str().unwrap()]).await;
    assert!(output.code == Some(2) && output.stderr.contains("allow_plain_http"), "{output}");
}

async fn a_port_that_is_taken_is_said() {
    let registry = Registry::start(Backend::Folder).await;
    let folder = temporary_folder("taken");
    let output = run(longshore(), ["up", "--data", folder.path().to_str().unwrap(), "--listen", registry.authority()]).await;
    assert!(output.code == Some(1) && output.stderr.contains(registry.authority()), "{output}");
}

/// "TLS by rustls with certificate reload on change, HTTP/1.1 and HTTP/2"
async fn tls_speaks_http_2_and_takes_a_new_certificate() {
    let folder = temporary_folder("tls");
    let (certificate_file, key_file) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let first = write_certificate(&certificate_file, &key_file);
    let path = |path: &Path| Value::from(path.to_str().unwrap());
    let values = [("listen.tls_certificate_file", path(&certificate_file)), ("listen.tls_key_file", path(&key_file))];
    let registry = Registry::with(Backend::Folder, &values).await;
    let url = format!("https://localhost:{}", registry.authority().rsplit_once(':').unwrap().1);
    let trusting = |certificate: &str| {
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        Client::configured(&url, |builder| builder.tls_certs_only([root]).use_rustls_tls())
    };
    let client = trusting(&first);
    let response = client.request(http::Method::GET, "/v2/").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let content = Random::seeded(330).bytes(3 << 20);
    let digest = client.push_blob("operator/tls", &content).await;
    assert!(client.pull_blob("operator/tls", &digest).await == content);

    let second = write_certificate(&certificate_file, &key_file);
    until("the new certificate to be served", Duration::from_secs(60), async || {
        Answer::attempt(trusting(&second).request(http::Method::GET, "/v2/")).await.ok()
    })
    .await;
    assert!(Answer::attempt(trusting(&first).request(http::Method::GET, "/v2/")).await.is_err());
}

/// A new self-signed certificate for localhost and its key, as files; the answer is the certificate.
fn write_certificate(certificate_file: &Path, key_file: &Path) -> String {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let certificate = certified.cert.pem();
    std::fs::write(key_file, certified.signing_key.serialize_pem()).unwrap();
    std::fs::write(certificate_file, &certificate).unwrap();
    certificate
}

async fn metrics_tell_what_goes_on(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(331, &[100_000]);
    client.push_image("operator/metrics", "v1", &image).await;
    client.pull_image("operator/metrics", "v1").await;
    client.begin_upload("operator/metrics", "").await;
    client.get("/v2/operator/nothing/manifests/v1").await.expect(404);
    for (row, least) in [
        ("longshore_http_requests_total", 10.0),
        ("longshore_http_request_duration_seconds_count", 10.0),
        ("longshore_http_received_bytes_total", 100_000.0),
        ("longshore_http_sent_bytes_total", 100_000.0),
        ("longshore_storage_calls_total", 3.0),
        ("longshore_uploads_open", 1.0),
        ("longshore_database_connections", 1.0),
        ("longshore_http_connections_open", 1.0),
    ] {
        // Some are looked up from time to time.
        until(&format!("{row} to be {least}"), Duration::from_secs(20), async || {
            (registry.metric(row).await >= least).then_some(())
        })
        .await;
    }
    // Names of repositories and digests would make as many rows as there are of them.
    let text = Client::new(registry.admin_url()).get("/metrics").await.expect(200);
    assert!(!String::from_utf8_lossy(&text.body).contains("operator/"), "{text:?}");
    Client::new(registry.admin_url()).get("/healthz").await.expect(200);
}

async fn images_are_shown_and_removed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let (one, two) = (Image::random(332, &[50_000]), Image::random(333, &[1000]));
    registry.client().push_image("operator/images", "one", &one).await;
    registry.client().push_image("operator/images", "two", &two).await;
    let image =
        async |arguments: &[&str]| run_ok(longshore(), [&["image"], arguments, &["--registry", registry.url()]].concat()).await;
    let table = image(&["ls"]).await;
    for words in ["REPOSITORY", "TAG", "DIGEST", "operator/images", "one", "two", "linux/amd64"] {
        assert!(table.contains(words), "{words} is not in: {table}");
    }
    let listed: Value = serde_json::from_str(&image(&["ls", "--output", "json"]).await).expect("JSON for programs");
    assert!(listed.to_string().contains(one.digest.as_str()));
    assert!(image(&["tags", "operator/images"]).await.contains("two"));
    for command in ["inspect", "layers"] {
        let shown = image(&[command, "operator/images:one", "--output", "json"]).await;
        serde_json::from_str::<Value>(&shown).expect("JSON for programs");
    }
    image(&["rm", "operator/images:one"]).await;
    registry.client().get_manifest("operator/images", "one").await.expect(404);
    assert_eq!(registry.client().pull_image("operator/images", "two").await, two.digest);
    let output = run(longshore(), ["image", "inspect", "operator/images:one", "--registry", registry.url()]).await;
    assert!(output.code == Some(1) && output.stdout.is_empty() && !output.stderr.is_empty(), "{output}");
}

/// Two processes on one folder would corrupt it; the second is told.
async fn a_folder_has_one_registry() {
    let folder = temporary_folder("shared");
    let data = folder.path().to_str().unwrap().to_owned();
    let start = |name: &str| {
        Process::start(name, longshore(), |command| {
            command.args(["up", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "off"]);
        })
    };
    let mut first = start("first");
    first.printed("where it is", Duration::from_secs(30), |line| line.contains("registry on ").then_some(())).await;
    let mut second = start("second");
    assert_eq!(second.ended(Duration::from_secs(30)).await.code(), Some(1), "{}", second.output());
    assert!(second.output().contains(&data), "it names the folder: {}", second.output());
}
