//! What a policy document refuses, warns of and leaves alone.

use std::{path::Path, time::Duration};

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Image, Registry, image_index, on_both_backends, temporary_folder, until};

on_both_backends!(
    what_breaks_a_rule_is_refused_with_the_reason,
    a_warning_comes_with_the_answer,
    immutable_tags_stay,
    of_many_first_pushes_of_an_immutable_tag_one_is_kept,
    a_changed_document_is_in_force_soon,
);

longshore_tests::once!(a_document_that_makes_no_sense_is_said,);

async fn start(backend: Backend, document: &Path) -> Registry {
    Registry::with(backend, &[("policy.file", document.to_str().unwrap().into())]).await
}

async fn push(client: &Client, repository: &str, tag: &str, image: &Image) -> Answer {
    for blob in &image.blobs {
        client.push_blob(repository, blob).await;
    }
    client.put_manifest(repository, tag, &image.media_type, &image.manifest).await
}

/// The reasons in a refusal, by policy.
fn reasons(answer: Answer) -> Vec<(String, String)> {
    let answer = answer.expect_error(403, "DENIED");
    let json = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let policies = json["errors"][0]["detail"]["policies"].as_array().unwrap();
    policies.iter().map(|policy| (text(&policy["policy"]), text(&policy["reason"]))).collect()
}

async fn what_breaks_a_rule_is_refused_with_the_reason(backend: Backend) {
    let folder = temporary_folder("policy");
    let document = folder.path().join("policy.toml");
    let images: Vec<Image> = (600..603).map(|seed| Image::random(seed, &[100, 200])).collect();
    let refused = Digest::of(Algorithm::Sha256, &images[1].blobs[1]);
    let text = format!(
        "[[policy]]\nname = 'small'\nrepositories = ['prod/**']\n[policy.push]\nmax_layers = 2\nmax_manifest_size = '2KiB'\n\
         [[policy]]\nname = 'known'\nrepositories = ['prod/**', 'test']\n[policy.push]\nrefused_content = ['{refused}']\n\
         media_types = ['application/vnd.oci.image.manifest.*']\n"
    );
    std::fs::write(&document, text).unwrap();
    let registry = start(backend, &document).await;
    let client = registry.client();
    push(&client, "prod/app", "good", &images[0]).await.expect(201);
    let told = reasons(push(&client, "prod/app", "bad", &images[1]).await);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "known");
    assert!(told[0].1.contains(refused.as_str()), "{told:?}");
    client.get_manifest("prod/app", "bad").await.expect(404);
    client.get_manifest("prod/app", images[1].digest.as_str()).await.expect(404);
    push(&client, "dev/app", "bad", &images[1]).await.expect(201);

    let large = Image::random(604, &[10; 40]);
    let told = reasons(push(&client, "prod/app", "large", &large).await);
    assert_eq!(told.iter().map(|(policy, _)| policy.as_str()).collect::<Vec<_>>(), ["small", "small"], "all at once: {told:?}");
    let index = image_index(&[("amd64", &images[0])]);
    let told = reasons(client.put_manifest("prod/app", "all", &index.media_type, &index.manifest).await);
    assert!(told[0].1.contains("are not taken"), "{told:?}");
    assert!(registry.metric("longshore_policy_refused_total").await >= 3.0);
}

async fn a_warning_comes_with_the_answer(backend: Backend) {
    let folder = temporary_folder("policy");
    let document = folder.path().join("policy.toml");
    let text = "[[policy]]\nname = 'soft'\nrepositories = ['**']\nmode = 'warn'\n[policy.push]\nmax_layers = 1\nimmutable_tags = ['*']\n";
    std::fs::write(&document, text).unwrap();
    let registry = start(backend, &document).await;
    let client = registry.client();
    let answer = push(&client, "app", "v1", &Image::random(610, &[1, 2])).await.expect(201);
    assert!(answer.required("warning").starts_with("299 - \"policy 'soft': the image has 2 layers"), "{answer:?}");
    let answer = push(&client, "app", "v1", &Image::random(611, &[1])).await.expect(201);
    assert!(answer.required("warning").contains("tag v1 stays"), "{answer:?}");
    let answer = client.delete("/v2/app/manifests/v1").await.expect(202);
    assert!(answer.required("warning").contains("tag v1 stays"), "{answer:?}");
    assert_eq!(push(&client, "app", "v2", &Image::random(612, &[1])).await.expect(201).header("warning"), None);
}

async fn immutable_tags_stay(backend: Backend) {
    let folder = temporary_folder("policy");
    let document = folder.path().join("policy.toml");
    let text = "[[policy]]\nname = 'releases'\nrepositories = ['prod/*']\n\
                [policy.push]\nimmutable_tags = ['v*']\nmutable_tags = ['*-dev']\n";
    std::fs::write(&document, text).unwrap();
    let registry = start(backend, &document).await;
    let client = registry.client();
    let (first, second) = (Image::random(620, &[100]), Image::random(621, &[100]));
    push(&client, "prod/app", "v1", &first).await.expect(201);
    push(&client, "prod/app", "v1", &first).await.expect(201);
    let told = reasons(push(&client, "prod/app", "v1", &second).await);
    assert_eq!(told[0].0, "releases");
    assert!(told[0].1.contains(first.digest.as_str()), "{told:?}");
    let path = format!("/v2/prod/app/manifests/{}?tag=free&tag=v1", second.digest);
    let put = client.request(http::Method::PUT, &path).header("content-type", &second.media_type).body(second.manifest.clone());
    reasons(Answer::to(put).await);
    client.get_manifest("prod/app", "free").await.expect(404);
    reasons(client.delete("/v2/prod/app/manifests/v1").await);
    reasons(client.delete(&format!("/v2/prod/app/manifests/{}", first.digest)).await);
    assert_eq!(client.pull_image("prod/app", "v1").await, first.digest);
    for image in [&first, &second] {
        push(&client, "prod/app", "v1-dev", image).await.expect(201);
        push(&client, "prod/app/deeper", "v1", image).await.expect(201);
        push(&client, "prod/app", "latest", image).await.expect(201);
    }
    client.delete(&format!("/v2/prod/app/manifests/{}", second.digest)).await.expect(202);
}

async fn of_many_first_pushes_of_an_immutable_tag_one_is_kept(backend: Backend) {
    let folder = temporary_folder("policy");
    let document = folder.path().join("policy.toml");
    std::fs::write(&document, "[[policy]]\nname = 'p'\nrepositories = ['**']\n[policy.push]\nimmutable_tags = ['v*']\n").unwrap();
    let registry = start(backend, &document).await;
    let client = registry.client();
    let images: Vec<Image> = (630..642).map(|seed| Image::random(seed, &[50])).collect();
    for image in &images {
        for blob in &image.blobs {
            client.push_blob("app", blob).await;
        }
    }
    for round in 0..5 {
        let tag = format!("v{round}");
        let pushes = images.iter().map(|image| client.put_manifest("app", &tag, &image.media_type, &image.manifest));
        let answers = futures_util::future::join_all(pushes).await;
        let kept: Vec<&Image> =
            images.iter().zip(&answers).filter(|(_, answer)| answer.status == 201).map(|(image, _)| image).collect();
        assert_eq!(kept.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [201, 403].contains(&answer.status.as_u16())), "{answers:?}");
        assert_eq!(client.pull_image("app", &tag).await, kept[0].digest);
    }
}

async fn a_changed_document_is_in_force_soon(backend: Backend) {
    let folder = temporary_folder("policy");
    let document = folder.path().join("policy.toml");
    std::fs::write(&document, "").unwrap();
    let registry = start(backend, &document).await;
    let client = registry.client();
    let image = Image::random(650, &[1, 2, 3]);
    push(&client, "app", "one", &image).await.expect(201);
    let strict = "[[policy]]\nname = 'strict'\nrepositories = ['**']\n[policy.push]\nmax_layers = 2\n";
    std::fs::write(&document, strict).unwrap();
    let limit = Duration::from_secs(10);
    until("the policy to be in force", limit, async || (push(&client, "app", "two", &image).await.status == 403).then_some(()))
        .await;
    std::fs::write(&document, "[[policy]]\nname = 'broken'\n").unwrap();
    until("the mistake to be told", limit, async || registry.log().contains("the policies stay as they were").then_some(()))
        .await;
    push(&client, "app", "two", &image).await.expect(403);
    std::fs::remove_file(&document).unwrap();
    until("its absence to be told", limit, async || registry.log().contains("No such file").then_some(())).await;
    push(&client, "app", "two", &image).await.expect(403);
    std::fs::write(&document, strict.replace("= 2", "= 3")).unwrap();
    until("the policy to allow it", limit, async || (push(&client, "app", "two", &image).await.status == 201).then_some(()))
        .await;
}

async fn a_document_that_makes_no_sense_is_said() {
    let folder = temporary_folder("policy");
    let (document, config) = (folder.path().join("policy.toml"), folder.path().join("registry.toml"));
    std::fs::write(&document, "[[policy]]\nname = 'p'\nrepositories = ['a*']\n").unwrap();
    std::fs::write(&config, format!("[policy]\nfile = '{}'\n", document.display())).unwrap();
    let arguments = ["registry", "config", "check", "--config", config.to_str().unwrap()];
    let output = longshore_tests::run(longshore_tests::longshore(), arguments).await;
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output.stderr.contains("registry.toml:2: policy.file: ") && output.stderr.contains("no pattern of repositories"),
        "{output}"
    );
}
