use jiff::Timestamp;

use super::{Subject, on_every_database, samples};
use crate::state::{StateError, StoredDocument};

on_every_database!(documents_are_kept_replaced_and_removed, two_changes_never_both_win, tags_come_with_their_digests);

fn document(name: &str, text: &str) -> StoredDocument {
    let applied_at = Timestamp::from_microsecond(1_000_001).unwrap();
    StoredDocument { name: name.into(), text: text.into(), revision: 0, applied_at, applied_by: Some("admin".into()) }
}

async fn documents_are_kept_replaced_and_removed(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    assert!(state.policy_documents().await.unwrap().is_empty());
    let first = state.policy_version().await.unwrap();
    let b = state.put_policy_document(document("b", "one"), first).await.unwrap();
    assert!(b > first);
    assert_eq!(other.policy_version().await.unwrap(), b);
    let nobody = StoredDocument { applied_by: None, ..document("a", "[[policy]]\n'é'") };
    let a = other.put_policy_document(nobody.clone(), b).await.unwrap();
    let kept = state.policy_documents().await.unwrap();
    assert_eq!(kept, [StoredDocument { revision: a, ..nobody }, StoredDocument { revision: b, ..document("b", "one") }]);
    let again = state.put_policy_document(document("b", "two"), a).await.unwrap();
    let kept = other.policy_documents().await.unwrap();
    assert_eq!((kept.len(), kept[1].text.as_str(), kept[1].revision), (2, "two", again));
    state.clear().await.unwrap();
    assert_eq!(other.policy_documents().await.unwrap(), kept, "a rebuilding has no other to put in its place");
    other.delete_policy_document("b", again).await.unwrap();
    let gone = state.policy_version().await.unwrap();
    assert!(gone > again);
    let absent = state.delete_policy_document("b", gone).await;
    assert!(matches!(absent, Err(StateError::Changed)), "{absent:?}");
    assert_eq!(state.policy_version().await.unwrap(), gone, "what was not done has no number");
    assert_eq!(state.policy_documents().await.unwrap().len(), 1);
}

async fn two_changes_never_both_win(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    for round in 0..20 {
        let seen = state.policy_version().await.unwrap();
        let (one, two) = tokio::join!(
            state.put_policy_document(document("a", "one"), seen),
            other.put_policy_document(document(if round % 2 == 0 { "a" } else { "b" }, "two"), seen)
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let lost = one.and(two).unwrap_err();
        assert!(matches!(lost, StateError::Changed), "{lost:?}");
    }
    let seen = state.policy_version().await.unwrap();
    let late = other.delete_policy_document("a", seen - 1).await;
    assert!(matches!(late, Err(StateError::Changed)), "{late:?}");
}

async fn tags_come_with_their_digests(subject: Subject) {
    let state = &subject.state;
    let name = samples::repository("a/b");
    assert!(state.tagged(&name, "", 10).await.unwrap().is_empty());
    let digest = samples::put(state, "a/b", &samples::image("config", &[]), &["v1", "v2", "v3"]).await;
    let found =
        |from: usize| ["v1", "v2", "v3"][from..].iter().map(|tag| (tag.parse().unwrap(), digest.clone())).collect::<Vec<_>>();
    assert_eq!(state.tagged(&name, "", 10).await.unwrap(), found(0));
    assert_eq!(state.tagged(&name, "v1", 1).await.unwrap(), found(1)[..1]);
}
