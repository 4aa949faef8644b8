//! `longshore` finds certificates where docker and podman have them, in a folder of the registry's.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use longshore_tests::{Authority, Backend, Certified, Image, Output, Registry, longshore, run, temporary_folder};
use tempfile::TempDir;

use crate::certificates::{client_of, server_of, text, tls_of};

longshore_tests::once!(the_command_line_reads_a_registry_s_folder, mistakes_in_a_registry_s_folder_are_told);

const DAY: i64 = 24 * 60 * 60;

/// Somebody with a home of their own, and a registry that serves nobody without a certificate.
struct Place {
    registry: Registry,
    authority: Authority,
    _server: Certified,
    own: Certified,
    home: TempDir,
}

impl Place {
    async fn start() -> Self {
        let authority = Authority::new("the company");
        let server = server_of(&authority);
        let values = [&tls_of(&server)[..], &[("listen.tls_client_certificates", "required".into())]].concat();
        let registry = Registry::with(Backend::Folder, &values).await;
        let own = authority.certify(&["dns:anybody"], 2, DAY);
        client_of(&registry, &authority, Some(&own)).push_image("team/app", "v1", &Image::random(840, &[100])).await;
        Self { registry, authority, _server: server, own, home: temporary_folder("home") }
    }

    /// The registry's folder where one of these programs has it in a home.
    fn folder(&self, program: &str) -> PathBuf {
        let folder = self.home.path().join(".config").join(program).join("certs.d").join(self.registry.authority());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    async fn tags(&self, more: &[&str]) -> Output {
        self.tags_by(&[], more).await
    }

    /// As [`Self::tags`], by a command that begins another.
    async fn tags_by(&self, beginner: &[&str], more: &[&str]) -> Output {
        let (home, program) = (format!("HOME={}", self.home.path().display()), longshore().display().to_string());
        let command = ["image", "tags", "team/app", "--registry", self.registry.url()];
        let variables = ["--unset=XDG_CONFIG_HOME", home.as_str()];
        run("env", [&variables[..], beginner, &[program.as_str()], &command, more].concat()).await
    }
}

#[track_caller]
fn told(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output}");
    for words in words {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
}

async fn the_command_line_reads_a_registry_s_folder() {
    let place = Place::start().await;
    let host = place.registry.authority();
    told(&place.tags(&[]).await, 1, &["an authority that is not trusted here", &format!("/etc/docker/certs.d/{host}/ca.crt")]);
    let folder = place.folder("docker");
    fs::copy(place.own.authority_file(), folder.join("company.crt")).unwrap();
    let told_of = format!("/etc/docker/certs.d/{host}/client.cert");
    told(&place.tags(&[]).await, 1, &["serves nobody without a client certificate", &told_of]);
    fs::copy(place.own.certificate_file(), folder.join("client.cert")).unwrap();
    fs::copy(place.own.key_file(), folder.join("client.key")).unwrap();
    let tags = place.tags(&[]).await;
    assert_eq!((tags.code, tags.stdout.trim()), (Some(0), "v1"), "{tags}");

    // Another host's folder is nothing to this one.
    let moved = folder.with_file_name("127.0.0.1:1");
    fs::rename(&folder, &moved).unwrap();
    told(&place.tags(&[]).await, 1, &["an authority that is not trusted here"]);
    fs::rename(&moved, &folder).unwrap();

    // What is said counts before what is found, and podman's folder before docker's.
    let stranger = Authority::new("another").certify(&["dns:anybody"], 3, DAY);
    let (certificate, key) = (stranger.certificate_file(), stranger.key_file());
    let refused = place.tags(&["--client-certificate", text(&certificate), "--client-key", text(&key)]).await;
    told(&refused, 1, &["client certificate"]);
    fs::copy(stranger.authority_file(), place.folder("containers").join("ca.crt")).unwrap();
    told(&place.tags(&[]).await, 1, &["an authority that is not trusted here"]);
    // An authority that is named is trusted beside those that are found.
    let (ca, certificate, key) = (place.own.authority_file(), place.own.certificate_file(), place.own.key_file());
    let own = ["--ca-file", text(&ca), "--client-certificate", text(&certificate), "--client-key", text(&key)];
    assert_eq!(place.tags(&own).await.code, Some(0));
}

async fn mistakes_in_a_registry_s_folder_are_told() {
    let place = Place::start().await;
    let folder = place.folder("docker");
    let put = |from: PathBuf, name: &str| {
        fs::copy(from, folder.join(name)).unwrap();
    };
    let path = |name: &str| folder.join(name).display().to_string();
    put(place.own.authority_file(), "ca.crt");
    put(place.own.certificate_file(), "client.cert");
    told(&place.tags(&[]).await, 2, &[&path("client.cert"), "client.key is not beside it", "NAME.crt"]);
    put(place.own.key_file(), "other.key");
    told(&place.tags(&[]).await, 2, &[&path("other.cert"), "its key other.key is"]);
    fs::rename(path("other.key"), path("client.key")).unwrap();
    assert_eq!(place.tags(&[]).await.code, Some(0));

    let other = place.authority.certify(&["dns:anybody"], 4, DAY);
    put(other.key_file(), "client.key");
    told(&place.tags(&[]).await, 2, &[&path("client.cert"), "it does not go with the key", &path("client.key")]);
    put(place.own.key_file(), "client.key");
    put(other.certificate_file(), "other.cert");
    put(other.key_file(), "other.key");
    told(&place.tags(&[]).await, 2, &[text(&folder), "client.cert and other.cert", "--client-certificate"]);
    let (certificate, key) = (other.certificate_file(), other.key_file());
    let which = ["--client-certificate", text(&certificate), "--client-key", text(&key)];
    assert_eq!(place.tags(&which).await.code, Some(0), "it is said which");
    for name in ["other.cert", "other.key"] {
        fs::remove_file(path(name)).unwrap();
    }

    for (content, words) in [
        ("", "it holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it holds what can't be an authority's certificate"),
    ] {
        fs::write(path("broken.crt"), content).unwrap();
        told(&place.tags(&[]).await, 2, &[&path("broken.crt"), words]);
    }
    fs::remove_file(path("broken.crt")).unwrap();
    // What somebody else alone may read, as a daemon may, is nobody's mistake here.
    let without = async |file: &str| {
        fs::set_permissions(path(file), fs::Permissions::from_mode(0o000)).unwrap();
        let output = place.tags_by(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"], &[]).await;
        fs::set_permissions(path(file), fs::Permissions::from_mode(0o600)).unwrap();
        output
    };
    told(&without("ca.crt").await, 1, &["an authority that is not trusted here"]);
    for file in ["client.cert", "client.key"] {
        told(&without(file).await, 1, &["serves nobody without a client certificate"]);
    }
    assert_eq!(place.tags(&[]).await.code, Some(0));
    fs::write(path("client.key"), "no key").unwrap();
    told(&place.tags(&[]).await, 2, &[&path("client.cert"), "no certificate and key in PEM form"]);
}
