//! Tags that only what is signed takes over.

use bytes::Bytes;
use http::Method;
use longshore_oci::Digest;
use longshore_tests::{
    Answer, Backend, Client, Image, Registry, Signer, image_index, on_both_backends, simple_manifest, simple_payload,
};

on_both_backends!(
    a_tag_moves_to_what_was_signed_before,
    an_index_takes_a_tag_over_as_one,
    of_many_unsigned_first_pushes_one_is_kept,
    a_policy_that_warns_lets_it_move,
);

/// A registry whose policy for `prod/**` keeps tags from what is not signed.
struct Harbor {
    registry: Registry,
    admin: Client,
    signer: Signer,
}

impl Harbor {
    async fn open(backend: Backend, mode: &str) -> Self {
        let (registry, signer) = (Registry::with_accounts(backend, &[]).await, Signer::new());
        let document = format!(
            "[[key]]\nname = 'release.pub'\ntext = '''\n{}'''\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
             mode = '{mode}'\n[policy.push]\nunsigned_overwrites = 'refuse'\n\
             [[policy.pull.require]]\nsignature = {{ key = 'release.pub' }}\n",
            signer.public_key()
        );
        let admin = registry.admin();
        let put = admin.request(Method::PUT, "/v2/_longshore/policies/prod").body(document);
        Answer::to(put).await.expect(201);
        Self { registry, admin, signer }
    }

    async fn put(&self, tag: &str, image: &Image) -> Answer {
        put(&self.admin, tag, image).await
    }

    async fn sign(&self, image: &Digest) {
        let signature = self.signer.simple(image);
        self.admin.push_image("prod/app", &sig_tag(image), &signature).await;
    }
}

async fn put(client: &Client, tag: &str, image: &Image) -> Answer {
    for blob in &image.blobs {
        client.push_blob("prod/app", blob).await;
    }
    client.put_manifest("prod/app", tag, &image.media_type, &image.manifest).await
}

fn sig_tag(image: &Digest) -> String {
    format!("{}.sig", image.as_str().replace(':', "-"))
}

#[track_caller]
fn denied(answer: Answer, tag: &str, from: &Image, to: &Image) {
    let message = answer.expect_error(403, "DENIED").json()["errors"][0]["message"].as_str().unwrap().to_owned();
    let begin = format!("policy \"prod\": tag {tag} stays at {} until ", from.digest);
    assert!(message.starts_with(&begin), "{message}");
    assert!(message.contains("push it by digest, or under another tag, sign it, then move the tag"), "{message}");
    assert!(message.contains(&format!("needs a signature by key release.pub: {} has none", to.digest)), "{message}");
    assert!(message.ends_with(&format!("/prod/app@{}", to.digest)), "the command can be copied: {message}");
}

async fn a_tag_moves_to_what_was_signed_before(backend: Backend) {
    let harbor = Harbor::open(backend, "enforce").await;
    let images: Vec<Image> = (1000..1005).map(|seed| Image::random(seed, &[100])).collect();
    let [first, second, third, ..] = images.as_slice() else { unreachable!() };
    harbor.put("v1", first).await.expect(201);
    harbor.put("v1", first).await.expect(201);
    denied(harbor.put("v1", second).await, "v1", first, second);
    harbor.admin.get_manifest("prod/app", second.digest.as_str()).await.expect(404);
    // Who may sign is to sign first.
    let robot = harbor.admin.create_robot("ci", &[("push", "prod/**"), ("sign", "prod/**")]).await;
    let robot = harbor.registry.as_account(&robot);
    denied(put(&robot, "v1", second).await, "v1", first, second);
    robot.push_image("prod/app", second.digest.as_str(), second).await;
    denied(put(&robot, "v1", second).await, "v1", first, second);
    let path = format!("/v2/prod/app/manifests/{}?tag=new&tag=v1", second.digest);
    let several = robot.request(Method::PUT, &path).header("content-type", &second.media_type).body(second.manifest.clone());
    denied(Answer::to(several).await, "v1", first, second);
    robot.get_manifest("prod/app", "new").await.expect(404);
    harbor.sign(&second.digest).await;
    put(&robot, "v1", second).await.expect(201);
    assert_eq!(robot.pull_image("prod/app", "v1").await, second.digest);
    denied(put(&robot, "v1", first).await, "v1", second, first);
    // Somebody else's signature is none.
    let stranger = Signer::new().simple(&third.digest);
    robot.push_image("prod/app", &sig_tag(&third.digest), &stranger).await;
    let answer = put(&robot, "v1", third).await.expect_error(403, "DENIED");
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains("none that will do"), "{answer:?}");
    // Where signatures lie they are replaced as they come.
    let payload = simple_payload(&third.digest);
    let good = simple_manifest(&payload, &harbor.signer.sign(&payload));
    robot.push_image("prod/app", &sig_tag(&third.digest), &good).await;
    put(&robot, "v1", third).await.expect(201);
    // A new tag, another repository, and deletions are no overwrites.
    put(&robot, "v2", &images[3]).await.expect(201);
    for image in &images[..2] {
        harbor.admin.push_image("dev/app", "v1", image).await;
    }
    harbor.admin.delete("/v2/prod/app/manifests/v2").await.expect(202);
    harbor.admin.delete(&format!("/v2/prod/app/manifests/{}", third.digest)).await.expect(202);
    put(&robot, "v1", &images[4]).await.expect(201);
}

async fn an_index_takes_a_tag_over_as_one(backend: Backend) {
    let harbor = Harbor::open(backend, "enforce").await;
    let [first, amd, arm] = [1010, 1011, 1012].map(|seed| Image::random(seed, &[100]));
    harbor.put("v1", &first).await.expect(201);
    for child in [&amd, &arm] {
        harbor.put(child.digest.as_str(), child).await.expect(201);
        harbor.sign(&child.digest).await;
    }
    let index = image_index(&[("amd64", &amd), ("arm64", &arm)]);
    denied(harbor.put("v1", &index).await, "v1", &first, &index);
    harbor.put(index.digest.as_str(), &index).await.expect(201);
    harbor.sign(&index.digest).await;
    harbor.put("v1", &index).await.expect(201);
    // What a signed index lists is as good as signed.
    let [member, other] = [1013, 1014].map(|seed| Image::random(seed, &[100]));
    for child in [&member, &other] {
        harbor.put(child.digest.as_str(), child).await.expect(201);
    }
    let list = image_index(&[("amd64", &member)]);
    harbor.put(list.digest.as_str(), &list).await.expect(201);
    harbor.sign(&list.digest).await;
    harbor.put("v1", &member).await.expect(201);
    denied(harbor.put("v1", &other).await, "v1", &member, &other);
}

/// Between the look at the tag and the push somebody else may set it.
async fn of_many_unsigned_first_pushes_one_is_kept(backend: Backend) {
    let harbor = Harbor::open(backend, "enforce").await;
    let images: Vec<Image> = (1020..1032).map(|seed| Image::random(seed, &[50])).collect();
    for blob in images.iter().flat_map(|image| &image.blobs) {
        harbor.admin.push_blob("prod/app", blob).await;
    }
    for round in 0..5 {
        let tag = format!("v{round}");
        let put = |image: &Image| {
            let (media_type, manifest): (String, Bytes) = (image.media_type.clone(), image.manifest.clone());
            let (admin, tag) = (harbor.admin.clone(), tag.clone());
            async move { admin.put_manifest("prod/app", &tag, &media_type, &manifest).await }
        };
        let answers = futures_util::future::join_all(images.iter().map(put)).await;
        let kept: Vec<&Image> =
            images.iter().zip(&answers).filter(|(_, answer)| answer.status == 201).map(|(image, _)| image).collect();
        assert_eq!(kept.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [201, 403].contains(&answer.status.as_u16())), "{answers:?}");
        assert_eq!(harbor.admin.pull_image("prod/app", &tag).await, kept[0].digest);
    }
}

async fn a_policy_that_warns_lets_it_move(backend: Backend) {
    let harbor = Harbor::open(backend, "warn").await;
    let [first, second] = [1040, 1041].map(|seed| Image::random(seed, &[100]));
    assert_eq!(harbor.put("v1", &first).await.expect(201).header("warning"), None);
    let answer = harbor.put("v1", &second).await.expect(201);
    assert!(answer.required("warning").contains("tag v1 stays at"), "{answer:?}");
    assert_eq!(harbor.admin.pull_image("prod/app", "v1").await, second.digest);
}
