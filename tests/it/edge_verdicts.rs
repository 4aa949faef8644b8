//! A registry's verdict holds at an edge for as long as the registry says, and no longer: a statement that is over opens nothing there,
//! whether or not the registry can be asked.

use std::time::{Duration, Instant};

use longshore_oci::VerdictLifetime;
use longshore_tests::{Answer, Backend, Edge, EdgeUpstream, Image, Registry, Signer, bundle_manifest, temporary_folder, until};
use serde_json::json;
use tempfile::TempDir;

longshore_tests::once!(
    what_a_statement_opens_is_closed_when_it_is_over,
    what_a_statement_opens_is_closed_though_the_registry_is_away,
);

/// An image that may be pulled for a few seconds, as a policy says that a statement of it must be so new; and an edge that would remember
/// for an hour who may.
struct Review {
    registry: Registry,
    edge: Edge,
    image: Image,
    _folder: TempDir,
}

impl Review {
    const KIND: &str = "https://review.example.org/v1";
    const SECONDS: u64 = 10;

    async fn of(seed: u64) -> Self {
        let (folder, signer) = (temporary_folder("policy"), Signer::new());
        let at = |name: &str| folder.path().join(name).to_str().expect("our folders' names are ASCII").to_owned();
        std::fs::write(at("prod.pub"), signer.public_key()).unwrap();
        let policy = format!(
            "[[key]]\nname = 'prod'\nfile = '{}'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
             [[policy.pull.require]]\n[policy.pull.require.attestation]\npredicate_type = '{}'\nby = {{ key = 'prod' }}\n\
             where = [{{ field = '/at', newer_than = '{}s' }}]\n",
            at("prod.pub"),
            Self::KIND,
            Self::SECONDS
        );
        std::fs::write(at("policy.toml"), policy).unwrap();
        let registry = Registry::with_accounts(Backend::Folder, &[("policy.file", at("policy.toml").into())]).await;
        let admin = registry.admin();
        admin.grant("anonymous", "pull", "prod/**").await;
        let image = Image::random(seed, &[1000]);
        admin.push_image("prod/app", "v1", &image).await;
        let times = ["cache.grant_ttl", "cache.grant_stale", "cache.public_stale"].map(|key| (key, "1h".into()));
        let edge = Edge::with(&[EdgeUpstream::longshore(&registry).set("follow_events", false)], &times).await;
        let said = json!({ "at": jiff::Timestamp::now().to_string() });
        let bundle = bundle_manifest(&image.descriptor(), &signer.bundle(&image.digest, Self::KIND, &said).to_string());
        admin.push_image("prod/app", bundle.digest.as_str(), &bundle).await;
        Self { registry, edge, image, _folder: folder }
    }

    /// The image's manifest, from the edge.
    async fn get(&self) -> Answer {
        self.edge.client().get_manifest("prod/app", self.image.digest.as_str()).await
    }

    /// Has the edge keep the image. How long it says that it will.
    async fn keep(&self) -> VerdictLifetime {
        let told: VerdictLifetime = self.get().await.expect(200).required(VerdictLifetime::HEADER).parse().unwrap();
        assert!(told.max_age.as_secs() < Self::SECONDS && told.stale_if_error == told.max_age, "{told}");
        told
    }

    /// Waits until the edge serves the image no more.
    async fn ends(&self) -> Answer {
        until("the statement to be over", Duration::from_secs(60), async || {
            let answer = self.get().await;
            (answer.status != 200).then_some(answer)
        })
        .await
    }
}

async fn what_a_statement_opens_is_closed_when_it_is_over() {
    let review = Review::of(1314).await;
    let (kept_at, told) = (Instant::now(), review.keep().await);
    let refused = review.ends().await;
    assert!(kept_at.elapsed() >= told.max_age, "{told}, and after {:?} {refused:?}", kept_at.elapsed());
    assert!(refused.denied_by("prod").contains("newer than"), "the registry was asked");
}

async fn what_a_statement_opens_is_closed_though_the_registry_is_away() {
    let mut review = Review::of(1315).await;
    let (kept_at, told) = (Instant::now(), review.keep().await);
    review.registry.kill9();
    let answer = review.get().await;
    // As long as it is not over.
    assert!(answer.status == 200 || kept_at.elapsed() >= told.stale_if_error, "{answer:?}");
    let refused = review.ends().await;
    assert!(kept_at.elapsed() >= told.stale_if_error, "{told}, and after {:?} {refused:?}", kept_at.elapsed());
    is_away(&refused);
    // Nor does it open again as the edge starts anew.
    review.edge.restart().await;
    is_away(&review.get().await);
}

fn is_away(answer: &Answer) {
    assert!([502, 503, 504].contains(&answer.status.as_u16()), "{answer:?}");
    answer.error_codes();
}
