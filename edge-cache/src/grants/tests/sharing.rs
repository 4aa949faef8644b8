//! An upstream whose cache shares what its own account may.

use super::*;

#[tokio::test]
async fn who_shows_a_credential_is_judged_by_it_and_nobody_else() {
    let bed = Bed::start(LONG).await;
    let settings = UpstreamSettings { attempts: 1, shares_access: true, ..settings(bed.server.address) };
    let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
    let place = Place::new(&upstream, "team/app".parse().unwrap());
    let one = client("Basic YTpi");
    let nobody = Client::default();
    let who = async |client| {
        bed.grants.attempts(&upstream, &place, client).await.into_iter().map(|attempt| attempt.who).collect::<Vec<_>>()
    };
    assert_eq!(who(&nobody).await, [Who::Shared]);
    let asked = who(&one).await;
    assert!(matches!(asked[..], [Who::Anybody, Who::Credential(_)]), "{asked:?}");
    // The account may, and whoever shows what may not does not by its right.
    bed.mind.is_public.store(true, Ordering::SeqCst);
    bed.grants.allowed(&upstream, &place.repository, &nobody, &blob("1")).await.unwrap();
    bed.mind.is_public.store(false, Ordering::SeqCst);
    bed.says(403);
    bed.grants.allowed(&upstream, &place.repository, &nobody, &blob("1")).await.unwrap();
    let denied = bed.grants.allowed(&upstream, &place.repository, &one, &blob("1")).await.unwrap_err();
    assert_eq!(denied.status(), Some(StatusCode::FORBIDDEN));
}
