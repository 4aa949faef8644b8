use longshore_oci::{Algorithm, Digest};

use super::{
    Subject, on_every_database,
    samples::{artifact, image, put, repository},
};
use crate::state::{DeleteManifest, Referrer};

on_every_database!(lists_who_speaks_of_a_manifest, pages_by_digest);

async fn list(subject: &Subject, about: &Digest, kind: Option<&str>, after: &str, limit: u32) -> Vec<Referrer> {
    subject.state.referrers(&repository("a/b"), about, kind, after, limit).await.unwrap()
}

async fn lists_who_speaks_of_a_manifest(subject: Subject) {
    let state = &subject.state;
    let content = image("config", &[]);
    let about = Digest::of(Algorithm::Sha256, &content);
    let signature = artifact("application/x-signature", "by me", &content);
    let signed = put(state, "a/b", &signature, &[]).await;
    put(state, "a/b", &artifact("application/x-bill", "of materials", &content), &["bill"]).await;
    put(state, "a/c", &artifact("application/x-bill", "elsewhere", &content), &[]).await;
    assert_eq!(list(&subject, &about, None, "", 10).await.len(), 2, "a manifest need not be there to be spoken of");
    put(state, "a/b", &content, &[]).await;

    let found = list(&subject, &about, Some("application/x-signature"), "", 10).await;
    let expected = Referrer {
        digest: signed.clone(),
        media_type: longshore_oci::media_type::OCI_MANIFEST.to_owned(),
        size_bytes: signature.len() as u64,
        artifact_type: Some("application/x-signature".to_owned()),
        annotations: [("note".to_owned(), "by me".to_owned())].into(),
    };
    assert_eq!(found, [expected]);
    assert!(list(&subject, &about, Some("application/x-none"), "", 10).await.is_empty());
    assert!(list(&subject, &signed, None, "", 10).await.is_empty());
    assert!(state.referrers(&repository("nowhere"), &about, None, "", 10).await.unwrap().is_empty());

    for gone in [&about, &signed] {
        let revision = state.begin_change(&repository("a/b")).await.unwrap();
        let deletion = DeleteManifest { repository: repository("a/b"), digest: gone.clone(), tags: Vec::new(), revision };
        state.delete_manifest(deletion).await.unwrap();
    }
    let left = list(&subject, &about, None, "", 10).await;
    assert_eq!(left.len(), 1, "a deleted referrer is gone; a deleted subject changes nothing");
    assert_eq!(left[0].artifact_type.as_deref(), Some("application/x-bill"));
}

async fn pages_by_digest(subject: Subject) {
    let content = image("config", &[]);
    let about = Digest::of(Algorithm::Sha256, &content);
    let mut expected = Vec::new();
    for number in 0..25 {
        let kind = if number % 5 == 0 { "application/x-fifth" } else { "application/x-other" };
        let digest = put(&subject.state, "a/b", &artifact(kind, &number.to_string(), &content), &[]).await;
        expected.push((digest, kind));
    }
    expected.sort();
    for kind in [None, Some("application/x-fifth")] {
        let mut after = String::new();
        let mut found = Vec::new();
        loop {
            let page = list(&subject, &about, kind, &after, 3).await;
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            after = last.digest.to_string();
            found.extend(page.into_iter().map(|referrer| referrer.digest));
        }
        let wanted = expected.iter().filter(|(_, is)| kind.is_none_or(|kind| kind == *is));
        assert_eq!(found, wanted.map(|(digest, _)| digest.clone()).collect::<Vec<_>>());
    }
}
