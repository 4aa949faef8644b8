use jiff::Timestamp;

use super::{Subject, on_every_database};
use crate::state::StoredKey;

on_every_database!(keys_come_one_after_the_other);

fn key(generation: u64, public: &str) -> StoredKey {
    let signs_from = Timestamp::from_microsecond(1_000_001).unwrap();
    StoredKey { generation, public: public.to_owned(), sealed: vec![0, 1, 255], signs_from }
}

async fn keys_come_one_after_the_other(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    assert!(state.signing_keys().await.unwrap().is_empty());
    assert!(state.add_signing_key(key(1, "one")).await.unwrap());
    assert!(!other.add_signing_key(key(1, "another")).await.unwrap(), "another replica was faster");
    assert!(other.add_signing_key(key(3, "three")).await.unwrap());
    assert!(!state.add_signing_key(key(2, "two")).await.unwrap(), "its time is over");
    assert_eq!(state.signing_keys().await.unwrap(), [key(1, "one"), key(3, "three")]);
    state.drop_signing_keys(1).await.unwrap();
    assert_eq!(state.signing_keys().await.unwrap().len(), 2);
    state.drop_signing_keys(3).await.unwrap();
    assert_eq!(other.signing_keys().await.unwrap(), [key(3, "three")]);
    state.clear().await.unwrap();
    assert_eq!(state.signing_keys().await.unwrap().len(), 1, "a rebuilding has no other to put in its place");
}
