//! What has happened, in order.

use std::collections::BTreeSet;

use longshore_fleet::api::{Change, EventKind};

use super::{
    Subject, on_every_database,
    samples::{NOW, act, event, lead, name, sweep},
    together,
};
use crate::state::{Act, Batch, NewEvent, StateError, Sweep};

on_every_database!(
    events_are_read_as_they_were_told,
    readers_miss_nothing,
    what_was_dropped_is_said_to_be,
    events_of_a_thing_are_found,
);

async fn tell(subject: &Subject, events: Vec<NewEvent>) {
    subject.state.act(&Act { events, ..act(vec![]) }).await.unwrap();
}

async fn events_are_read_as_they_were_told(subject: Subject) {
    let state = &subject.state;
    let page = state.events(0, 10).await.unwrap();
    assert_eq!((page.events.len(), page.position), (0, 0));
    let mut told = event("op_1");
    told.kind = EventKind::Operation;
    told.change = Change::Noted;
    told.namespace = None;
    told.author = Some("ann".to_owned());
    told.object = None;
    tell(&subject, vec![told.clone(), event("b"), event("c")]).await;
    let page = state.events(0, 2).await.unwrap();
    let first = &page.events[0];
    assert_eq!((first.position, first.at.as_microsecond(), first.kind, first.change), (1, NOW, told.kind, told.change));
    assert_eq!((&first.namespace, &first.author, &first.object), (&None, &told.author, &None));
    assert_eq!((page.events[1].id.as_str(), page.position), ("b", 2));
    assert_eq!(page.events[1].object, event("b").object);
    let rest = state.events(page.position, 2).await.unwrap();
    assert_eq!((rest.events.len(), rest.position), (1, 3));
    assert!(matches!(state.events(4, 10).await, Err(StateError::TooOld)), "a position that was never given");
}

/// Writers commit batches and acts while readers follow: whoever has read up to a position has everything before it.
async fn readers_miss_nothing(subject: Subject) {
    const WRITERS: usize = 8;
    const TURNS: usize = 20;
    let term = lead(&subject.state).await;
    let expected = TURNS * WRITERS * 2;
    let read = together(&subject, WRITERS + 2, |number, state| async move {
        if number < WRITERS {
            for turn in 0..TURNS {
                let events = vec![event(&format!("{number}-{turn}-a")), event(&format!("{number}-{turn}-b"))];
                if number == 0 {
                    let number = turn as u64 + 1;
                    state.commit(term, &Batch { number, events, ..Batch::default() }).await.unwrap();
                } else {
                    state.act(&Act { events, ..act(vec![]) }).await.unwrap();
                }
            }
            return vec![];
        }
        let (mut read, mut position) = (vec![], 0);
        while read.len() < expected {
            let page = state.events(position, 7).await.unwrap();
            for event in page.events {
                position += 1;
                assert_eq!(event.position, position, "without gaps");
                read.push(event.id);
            }
            assert_eq!(page.position, position);
        }
        read
    })
    .await;
    assert_eq!(read[WRITERS], read[WRITERS + 1], "all see the same order");
    assert_eq!(read[WRITERS].iter().collect::<BTreeSet<_>>().len(), expected);
    for pair in read[WRITERS].chunks(2) {
        assert_eq!(pair[0].trim_end_matches('a'), pair[1].trim_end_matches('b'), "what was told together stays so");
    }
}

async fn what_was_dropped_is_said_to_be(subject: Subject) {
    let state = &subject.state;
    for _ in 0..10 {
        tell(&subject, vec![event("a")]).await;
    }
    let by_number = Sweep { events_kept: 6, most: 3, ..sweep() };
    assert_eq!(state.sweep(&by_number).await.unwrap(), 3, "so many at once");
    assert_eq!(state.sweep(&by_number).await.unwrap(), 1);
    assert_eq!(state.sweep(&by_number).await.unwrap(), 0);
    assert!(matches!(state.events(3, 10).await, Err(StateError::TooOld)));
    let page = state.events(4, 10).await.unwrap();
    assert_eq!(page.events.iter().map(|event| event.position).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10]);
    state.act(&Act { now: NOW + 10, ..act(vec![]) }).await.unwrap();
    let by_age = Sweep { events_before: NOW + 10, ..sweep() };
    assert_eq!(state.sweep(&by_age).await.unwrap(), 6);
    assert!(matches!(state.events(9, 10).await, Err(StateError::TooOld)));
    assert_eq!(state.events(10, 10).await.unwrap().position, 11);
    assert_eq!(state.sweep(&Sweep { events_kept: 0, ..sweep() }).await.unwrap(), 1);
    assert_eq!(state.events(11, 10).await.unwrap().position, 11, "nothing is left, and nothing was missed");
    tell(&subject, vec![event("b")]).await;
    assert_eq!(state.events(11, 10).await.unwrap().events[0].position, 12, "positions are never given again");
}

async fn events_of_a_thing_are_found(subject: Subject) {
    let state = &subject.state;
    let elsewhere = NewEvent { namespace: Some(name("team")), ..event("a") };
    tell(&subject, vec![event("a"), event("b"), event("a"), elsewhere, NewEvent { namespace: None, ..event("c") }]).await;
    let positions = async |namespace: Option<&str>, id, most| {
        let events = state.events_of(namespace.map(name).as_ref(), id, most).await.unwrap();
        events.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(None, Some("a"), 10).await, [4, 3, 1]);
    assert_eq!(positions(None, Some("a"), 2).await, [4, 3]);
    assert_eq!(positions(Some("default"), None, 10).await, [3, 2, 1]);
    assert_eq!(positions(Some("default"), Some("a"), 10).await, [3, 1]);
    assert_eq!(positions(None, None, 10).await, [5, 4, 3, 2, 1]);
    assert!(positions(Some("nowhere"), None, 10).await.is_empty());
}
