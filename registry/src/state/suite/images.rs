use super::{
    Subject, on_every_database,
    samples::{artifact, commit, digest, image, index, push, put, repository},
};
use crate::state::{ImageFilter, ImageSummary, PutManifest, SharedState, Sharing};

on_every_database!(tells_sizes_and_what_is_shared, an_index_is_the_sum_of_its_members, lists_by_repository_and_tag);

async fn list(state: &SharedState, name: Option<&str>, after: (&str, &str), limit: u32) -> Vec<ImageSummary> {
    let after = (after.0.to_owned(), after.1.to_owned());
    state.images(ImageFilter { repository: name.map(repository), after, limit, sharing: Sharing::Anywhere }).await.unwrap()
}

fn names(images: &[ImageSummary]) -> Vec<String> {
    images.iter().map(|image| format!("{}:{}", image.repository, image.tag)).collect()
}

/// The length of these texts and manifests together.
fn total(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

async fn tells_sizes_and_what_is_shared(subject: Subject) {
    let state = &subject.state;
    for content in ["config one", "config two", "base layer", "top"] {
        commit(state, "a/b", content).await;
    }
    let (one, two) = (image("config one", &["base layer", "top", "base layer"]), image("config two", &["base layer"]));
    let revision = state.begin_change(&repository("a/b")).await.unwrap();
    let first = PutManifest { platform: Some("linux/arm64".to_owned()), ..push("a/b", &one, &["one", "uno"], revision) };
    let pushed_at = first.pushed_at;
    let first_digest = first.digest.clone();
    state.put_manifest(first).await.unwrap();
    let alone = &list(state, None, ("", ""), 10).await[0];
    assert_eq!((alone.size_bytes, alone.shared_bytes), (total(&[&one, b"config one", b"base layer", b"top"]), 0));
    assert_eq!((alone.repository.as_str(), alone.tag.as_str(), alone.digest.as_str()), ("a/b", "one", first_digest.as_str()));
    assert_eq!((alone.platforms.as_slice(), &alone.artifact_type), (["linux/arm64".to_owned()].as_slice(), &None));
    assert_eq!(alone.pushed_at.as_microsecond(), pushed_at.as_microsecond());

    put(state, "a/c", &two, &["two"]).await;
    let images = list(state, None, ("", ""), 10).await;
    assert_eq!(names(&images), ["a/b:one", "a/b:uno", "a/c:two"]);
    assert_eq!(images[0].shared_bytes, total(&[b"base layer"]));
    assert_eq!((images[2].size_bytes, images[2].shared_bytes), (total(&[&two, b"config two", b"base layer"]), 10));

    let detail = state.image(&repository("a/b"), &first_digest, Sharing::Anywhere).await.unwrap().unwrap();
    assert_eq!((detail.size_bytes, detail.shared_bytes), (images[0].size_bytes, images[0].shared_bytes));
    assert_eq!((detail.tags.as_slice(), detail.manifests.len()), (["one".to_owned(), "uno".to_owned()].as_slice(), 1));
    let among_its_own = state.image(&repository("a/b"), &first_digest, Sharing::Repository).await.unwrap().unwrap();
    assert_eq!((among_its_own.size_bytes, among_its_own.shared_bytes), (images[0].size_bytes, 0));
    assert!(among_its_own.manifests[0].layers.iter().all(|layer| layer.shared_with == 0));
    let filter = ImageFilter { repository: None, after: Default::default(), limit: 10, sharing: Sharing::Repository };
    assert!(state.images(filter).await.unwrap().iter().all(|image| image.shared_bytes == 0));
    let manifest = &detail.manifests[0];
    assert_eq!((manifest.platform.as_deref(), manifest.size_bytes), (Some("linux/arm64"), one.len() as u64));
    assert_eq!(manifest.config.as_ref().unwrap().digest, digest("config one").as_str());
    let layers: Vec<_> =
        manifest.layers.iter().map(|layer| (layer.digest.as_str(), layer.size_bytes, layer.shared_with)).collect();
    let (base, top) = (digest("base layer"), digest("top"));
    assert_eq!(layers, [(base.as_str(), 10, 1), (top.as_str(), 3, 0), (base.as_str(), 10, 1)]);
    assert!(state.image(&repository("a/c"), &first_digest, Sharing::Anywhere).await.unwrap().is_none());
    assert!(state.image(&repository("nowhere"), &first_digest, Sharing::Anywhere).await.unwrap().is_none());
}

async fn an_index_is_the_sum_of_its_members(subject: Subject) {
    let state = &subject.state;
    let (amd, arm, absent) =
        (image("amd", &["shared", "amd64"]), image("arm", &["shared", "arm64"]), image("absent", &["absent"]));
    put(state, "a/b", &amd, &[]).await;
    put(state, "a/b", &arm, &[]).await;
    let members = index(&[(&amd, "amd64"), (&arm, "arm64"), (&absent, "s390x")]);
    let whole = put(state, "a/b", &members, &["latest"]).await;
    put(state, "a/b", &artifact("application/x-signature", "", &members), &["signature"]).await;

    let images = list(state, Some("a/b"), ("", ""), 10).await;
    assert_eq!(names(&images), ["a/b:latest", "a/b:signature"]);
    let size_bytes = total(&[&members, &amd, &arm, b"amd", b"arm", b"shared", b"amd64", b"arm64"]);
    assert_eq!((images[0].size_bytes, images[0].shared_bytes), (size_bytes, 0), "each blob once, and shared only with others");
    assert_eq!(images[0].platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!((images[0].artifact_type.as_deref(), images[1].artifact_type.as_deref()), (None, Some("application/x-signature")));

    let other_way = put(state, "a/b", &index(&[(&arm, "arm64"), (&amd, "amd64")]), &[]).await;
    for (digest, expected) in [(&whole, ["linux/amd64", "linux/arm64"]), (&other_way, ["linux/arm64", "linux/amd64"])] {
        let detail = state.image(&repository("a/b"), digest, Sharing::Anywhere).await.unwrap().unwrap();
        let platforms: Vec<_> = detail.manifests.iter().map(|member| member.platform.as_deref().unwrap()).collect();
        assert_eq!(platforms, expected, "in the index's order");
    }
    let detail = state.image(&repository("a/b"), &whole, Sharing::Anywhere).await.unwrap().unwrap();
    assert!(detail.manifests.iter().all(|member| member.layers[0].shared_with == 1 && member.layers[1].shared_with == 0));
}

async fn lists_by_repository_and_tag(subject: Subject) {
    let state = &subject.state;
    let content = image("config", &[]);
    let mut expected = Vec::new();
    for name in ["a", "a-b", "a/b", "b"] {
        for tag in ["A", "a", "b"] {
            put(state, name, &content, &[tag]).await;
            expected.push(format!("{name}:{tag}"));
        }
    }
    assert_eq!(names(&list(state, None, ("", ""), 100).await), expected);
    assert_eq!(names(&list(state, Some("a-b"), ("", ""), 100).await), expected[3..6]);
    assert_eq!(names(&list(state, Some("a-b"), ("a-b", "A"), 1).await), expected[4..5]);
    assert!(list(state, Some("nowhere"), ("", ""), 100).await.is_empty());
    for limit in [1, 2, 5] {
        let (mut after, mut found) = ((String::new(), String::new()), Vec::new());
        loop {
            let page = list(state, None, (&after.0, &after.1), limit).await;
            let Some(last) = page.last() else { break };
            after = (last.repository.clone(), last.tag.clone());
            found.extend(names(&page));
        }
        assert_eq!(found, expected, "by pages of {limit}");
    }
}
