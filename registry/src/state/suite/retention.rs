use jiff::{Timestamp, ToSpan as _};

use super::{
    Subject,
    journal::Journal,
    on_every_database,
    samples::{at_tag, image},
};

on_every_database!(the_outbox_is_kept_for_a_time, the_history_of_tags_is_kept_for_a_time);

async fn the_outbox_is_kept_for_a_time(subject: Subject) {
    let (state, journal) = (&subject.state, Journal::default());
    for number in 0..4 {
        journal.push(state, "a/b", &image(&format!("{number}"), &[]), &["latest"]).await;
    }
    let all = subject.events().await;
    assert_eq!(all.len(), 8);
    assert_eq!(state.expire_events(Timestamp::now() - 1.hour(), false, 10).await.unwrap(), 0);
    subject.execute("UPDATE events SET happened_at = 1 WHERE id <= (SELECT MIN(id) + 4 FROM events)").await;
    assert_eq!(state.expire_events(Timestamp::now() - 1.hour(), false, 3).await.unwrap(), 3, "so many at a time");
    assert_eq!(state.expire_events(Timestamp::now() - 1.hour(), false, 3).await.unwrap(), 2);
    assert_eq!(subject.events().await, all[5..]);
}

async fn the_history_of_tags_is_kept_for_a_time(subject: Subject) {
    let (state, journal) = (&subject.state, Journal::default());
    let mut last = None;
    for number in 0..4 {
        last = Some(journal.push(state, "a/b", &image(&format!("{number}"), &[]), &["latest", "other"]).await);
    }
    assert_eq!(state.expire_tag_history(Timestamp::now() - 1.hour(), 10).await.unwrap(), 0);
    assert_eq!(state.expire_tag_history(Timestamp::now() + 1.hour(), 5).await.unwrap(), 5);
    assert_eq!(subject.count("tag_history").await, 3);
    assert_eq!(at_tag(state, "a/b", "latest").await, last, "where a tag is does not depend on it");
}
