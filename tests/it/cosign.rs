//! Cosign's own program signs and attests with a key, in the old form and the new.

use longshore_tests::{Backend, Cosign, Image, Registry};

longshore_tests::once!(cosign_signs_and_attests_in_both_forms,);

async fn cosign_signs_and_attests_in_both_forms() {
    let cosign = Cosign::new();
    cosign.ok(&["generate-key-pair", "--output-key-prefix", "test"]).await;
    cosign.ok(&["signing-config", "create", "--out", "signing.json"]).await;
    let kind = "https://example.org/review/v1";
    let text = format!(
        "[[key]]\nname = 'release.pub'\nfile = 'test.pub'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
         [[policy.pull.require]]\nsignature = {{ key = 'release.pub' }}\n\
         [[policy.pull.require]]\n[policy.pull.require.attestation]\npredicate_type = '{kind}'\nby = {{ key = 'release.pub' }}\n\
         where = [{{ field = '/result', equals = 'good' }}]\n"
    );
    let document = cosign.write("policy.toml", &text);
    let registry = Registry::with_accounts(Backend::Folder, &[("policy.file", document.into())]).await;
    let (admin, host) = (registry.admin(), registry.authority());
    let signing = admin.create_robot("signing", &[("sign", "prod/**")]).await;
    let node = admin.create_robot("node", &[("pull", "prod/**")]).await;
    let node = registry.as_account(&node);
    cosign.login(host, &signing).await;
    cosign.write("good.json", r#"{"result":"good"}"#);
    cosign.write("bad.json", r#"{"result":"bad"}"#);
    let new: &[&str] = &["--signing-config", "signing.json"];
    let old: &[&str] = &["--use-signing-config=false", "--tlog-upload=false", "--new-bundle-format=false"];
    for (seed, form) in [(880, new), (881, old)] {
        let (image, repository) = (Image::random(seed, &[100]), format!("prod/app{seed}"));
        admin.push_image(&repository, "v1", &image).await;
        let name = format!("{host}/{repository}@{}", image.digest);
        let common = [&["--yes", "--key", "test.key", "--allow-http-registry"], form].concat();
        let pull = async || node.get_manifest(&repository, "v1").await;
        assert_eq!(pull().await.denied_by("prod").matches("Sign it").count(), 1);
        cosign.ok(&[&["sign"], &common[..], &[&name]].concat()).await;
        let reason = pull().await.denied_by("prod");
        assert!(!reason.contains("Sign it") && reason.contains("Attest it"), "{reason}");
        let attest = async |predicate: &str| {
            let arguments = [&["attest"], &common[..], &["--type", kind, "--predicate", predicate, &name]].concat();
            cosign.ok(&arguments).await;
        };
        attest("bad.json").await;
        let reason = pull().await.denied_by("prod");
        assert!(reason.contains("not /result is \"good\""), "{reason}");
        attest("good.json").await;
        pull().await.expect(200);
    }
}
