//! Who is told of what, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use libp2p_identity::PeerId;

use super::{Announcing, TrackerIndex, dues::Tracker};
use crate::{control::ControlAddress, moment::Moment, swarm::SwarmSettings, topic::TopicKey};

fn key(number: u8) -> TopicKey {
    TopicKey([number; 32])
}

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn trackers(count: u16) -> Announcing {
    let mut settings = SwarmSettings::new("127.0.0.1:0".parse().unwrap());
    settings.trackers = (1..=count).map(|port| format!("10.0.0.1:{port}").parse().unwrap()).collect();
    Announcing::new(&settings, true, &[])
}

/// Tells a tracker all that is due, of nothing of which a lease is asked for; what that is.
fn tell(tracker: &mut Tracker, now: Moment) -> (Vec<TopicKey>, Vec<TopicKey>) {
    let topics: BTreeMap<_, _> = tracker.due_at(now).into_iter().map(|key| (key, false)).collect();
    let told = topics.keys().copied().collect();
    let withdrawn = tracker.begin(topics, now).map(|telling| telling.withdrawn.iter().copied().collect());
    (told, withdrawn.unwrap_or_default())
}

fn lone(announcing: &mut Announcing) -> &mut Tracker {
    let id = announcing.iter().next().unwrap().id;
    announcing.get_mut(id).unwrap()
}

#[test]
fn one_tracker_at_a_time_leases_a_topic() {
    let mut announcing = trackers(3);
    let first = announcing.leading(&key(1)).unwrap();
    announcing.add(&key(1), at(1));
    announcing.get_mut(first).unwrap().failed(BTreeSet::new(), at(1));
    let second = announcing.leading(&key(1)).unwrap();
    assert_ne!(first, second);
    // One that refuses it says nothing of it, as one that is silent.
    announcing.get_mut(second).unwrap().refuses(key(1), at(1));
    assert_eq!(announcing.leading(&key(1)), None);
    announcing.get_mut(second).unwrap().told(key(1), at(9));
    assert_eq!(announcing.leading(&key(1)), Some(second));
    announcing.get_mut(first).unwrap().answered();
    assert_eq!(announcing.leading(&key(1)), Some(first));
}

/// Or it would have all leased to itself by another tracker than everybody else goes by.
#[test]
fn a_tracker_that_all_name_ranks_as_it_does_for_all() {
    let mut settings = SwarmSettings::new("127.0.0.1:0".parse().unwrap());
    settings.trackers = (1..=3).map(|port| format!("10.0.0.1:{port}").parse().unwrap()).collect();
    settings.trackers_per_topic = 1;
    let of_another = Announcing::new(&settings, true, &[]);
    let of_one = Announcing::new(&settings, true, &settings.trackers[1..2]);
    let leader = |announcing: &Announcing, number| {
        let id = announcing.leading(&key(number)).unwrap();
        announcing.get(id).unwrap().name.clone()
    };
    assert!((0..64).all(|number| leader(&of_one, number) == leader(&of_another, number)));
    let led_by_itself = (0..64).filter(|number| leader(&of_one, *number) == "10.0.0.1:2").count();
    assert!((10..40).contains(&led_by_itself), "{led_by_itself}");
    assert_eq!(of_one.status().count(), 2, "it is nowhere to be reached");
}

#[test]
fn a_topic_that_is_about_to_be_announced_is_being_asked_for() {
    let mut announcing = trackers(1);
    assert!(!announcing.is_asking(&key(1)));
    announcing.hurry(&key(1));
    assert!(announcing.is_asking(&key(1)), "before anything was sent");
    let tracker = lone(&mut announcing);
    tell(tracker, at(1));
    assert!(tracker.is_asked(&key(1)));
    tracker.end();
    tracker.told(key(1), at(15));
    assert!(!tracker.is_asked(&key(1)));
    tracker.forgot(0.5, at(2));
    assert!(tracker.is_asked(&key(1)), "it was restarted and hears of it in a moment");
    tracker.failed(BTreeSet::new(), at(2));
    assert!(!tracker.is_asked(&key(1)));
}

#[test]
fn what_is_hurried_goes_first_and_is_not_lost_on_the_way() {
    let mut announcing = trackers(1);
    for number in 0..200 {
        announcing.add(&key(number), at(1));
    }
    announcing.hurry(&key(210));
    let tracker = lone(&mut announcing);
    let (told, _) = tell(tracker, at(9));
    assert!(told.contains(&key(210)) && told.len() < 200);
    // It is wanted anew while the answer is on its way, which was to a question of before.
    tracker.hurry(key(210));
    tracker.end();
    tracker.told(key(210), at(20));
    assert_eq!((tracker.wake_at(), tracker.due_at(at(1)).first()), (Some(at(0)), Some(&key(210))));
}

#[test]
fn what_is_withdrawn_is_told_though_nothing_else_is_due_and_again_if_it_was_not_heard() {
    let mut announcing = trackers(1);
    for number in 1..=3 {
        announcing.add(&key(number), at(1));
    }
    let tracker = lone(&mut announcing);
    tell(tracker, at(1));
    tracker.end();
    (1..=3).for_each(|number| tracker.told(key(number), at(100)));
    (1..=2).for_each(|number| tracker.remove(&key(number)));
    assert!(tracker.wake_at().is_some_and(|wake| wake <= at(2)));
    assert_eq!(tell(tracker, at(2)), (vec![], vec![key(1), key(2)]));
    // One is here again when it turns out that nobody heard.
    tracker.set_due(key(2), at(50));
    let unheard = tracker.end().withdrawn;
    tracker.failed(unheard, at(2));
    assert_eq!(tracker.wake_at(), Some(at(2) + Duration::from_millis(500)));
    assert_eq!(tell(tracker, at(3)), (vec![], vec![key(1)]));
    tracker.end();
    assert_eq!(tracker.wake_at(), Some(at(50)));
}

#[test]
fn a_tracker_that_keeps_forgetting_is_told_ever_more_seldom() {
    let mut announcing = trackers(1);
    announcing.add(&key(1), at(1));
    let tracker = lone(&mut announcing);
    let pauses: Vec<_> = (0..6)
        .map(|_| {
            tell(tracker, at(1));
            tracker.end();
            tracker.told(key(1), at(10));
            tracker.forgot(1.0, at(1));
            tracker.wake_at().unwrap().since(at(1)).as_secs()
        })
        .collect();
    assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
}

#[test]
fn an_answer_is_of_the_tracker_that_was_asked_and_topics_move_with_the_trackers() {
    let mut settings = SwarmSettings::new("127.0.0.1:0".parse().unwrap());
    settings.trackers_per_topic = 1;
    let mut announcing = Announcing::new(&settings, true, &[]);
    let itself = announcing.leading(&key(1)).unwrap();
    for number in 0..64 {
        announcing.add(&key(number), at(1));
    }
    announcing.joined(vec!["10.0.0.1:1".parse().unwrap()]);
    assert_ne!(announcing.leading(&key(1)), Some(itself), "another leads");
    announcing.joined(vec!["10.0.0.1:2".parse().unwrap()]);
    for number in 0..64 {
        announcing.add(&key(number), at(1));
    }
    let others = || announcing.iter().filter(|tracker| !tracker.is_itself());
    let counts: Vec<_> = others().map(|tracker| (0..64).filter(|number| tracker.has(&key(*number))).count()).collect();
    assert!(counts.iter().sum::<usize>() == 64 && counts.iter().all(|count| *count > 10), "{counts:?}");
    announcing.joined(vec!["10.0.0.1:3".parse().unwrap()]);
    for number in 0..64 {
        announcing.add(&key(number), at(2));
    }
    let ids: Vec<TrackerIndex> = announcing.iter().map(|tracker| tracker.id).filter(|id| *id != itself).collect();
    let has = |id: &TrackerIndex, number: u8| announcing.get(*id).unwrap().has(&key(number));
    assert!((0..64).all(|number| ids.iter().filter(|id| has(id, number)).count() == 1));
    assert!((0..64).all(|number| has(&itself, number)), "who tells this node is told of what it has itself");
}

fn address(text: &str, peer: PeerId) -> ControlAddress {
    text.parse::<ControlAddress>().unwrap().of_peer(peer)
}

/// Where trackers are, and whose.
fn places(announcing: &Announcing) -> Vec<(String, Option<Arc<str>>)> {
    announcing.status().map(|tracker| (tracker.address, tracker.registry)).collect()
}

#[test]
fn a_registry_s_trackers_are_told_of_its_topics_alone_and_nobody_else_is() {
    let mut announcing = Announcing::new(&SwarmSettings::new("127.0.0.1:0".parse().unwrap()), true, &[]);
    let (here, there): (Arc<str>, Arc<str>) = ("here".into(), "there".into());
    announcing.note(&key(1), &here);
    announcing.note(&key(2), &there);
    let itself = announcing.leading(&key(1)).unwrap();
    let peer = PeerId::random();
    announcing.found(&here, vec![vec![address("10.0.0.1:1", peer)]]);
    for number in 1..=2 {
        announcing.add(&key(number), at(1));
    }
    let found = announcing.leading(&key(1)).unwrap();
    assert_eq!(announcing.get(found).unwrap().peer(), Some(peer));
    assert_eq!(announcing.leading(&key(2)), Some(itself), "a topic of another registry");
    let has = |announcing: &Announcing, id, number| announcing.get(id).unwrap().has(&key(number));
    assert!(has(&announcing, found, 1) && !has(&announcing, found, 2));
    assert!(!has(&announcing, itself, 1) && has(&announcing, itself, 2));
    // It is silent, and what it leads nobody does: all who know it share out among themselves.
    announcing.get_mut(found).unwrap().failed(BTreeSet::new(), at(1));
    assert_eq!(announcing.leading(&key(1)), None);
    // Its registry has none any more: the topic goes where all others go.
    announcing.found(&here, Vec::new());
    announcing.add(&key(1), at(2));
    assert_eq!(announcing.leading(&key(1)), Some(itself));
}

#[test]
fn a_tracker_that_was_restarted_is_one_and_replicas_are_several() {
    let mut announcing = Announcing::new(&SwarmSettings::new("127.0.0.1:0".parse().unwrap()), true, &[]);
    let registry: Arc<str> = "here".into();
    let [one, other] = [PeerId::random(), PeerId::random()];
    announcing.found(&registry, vec![vec![address("10.0.0.1:1", one)]]);
    announcing.found(&registry, vec![vec![address("10.0.0.1:2", one)]]);
    // Another replica answers, and does not know of the first.
    announcing.found(&registry, vec![vec![address("10.0.0.2:1", other)]]);
    let of = |place: &str| (place.to_owned(), Some(registry.clone()));
    assert_eq!(places(&announcing), [of("10.0.0.1:2"), of("10.0.0.2:1")]);
    // One that is not named and does not answer is forgotten; one that is named stays.
    for id in announcing.iter().map(|tracker| tracker.id).collect::<Vec<_>>() {
        announcing.get_mut(id).unwrap().failed(BTreeSet::new(), at(1));
    }
    announcing.found(&registry, vec![vec![address("10.0.0.2:1", other)]]);
    assert_eq!(places(&announcing), [of("10.0.0.2:1")]);
    let many = (0..100).map(|_| vec![address("10.0.0.3:1", PeerId::random())]).collect();
    announcing.found(&registry, many);
    assert_eq!(places(&announcing).len(), 16);
}

#[test]
fn one_that_was_joined_and_began_again_is_where_it_is_now() {
    let mut announcing = Announcing::new(&SwarmSettings::new("127.0.0.1:0".parse().unwrap()), true, &[]);
    let [one, other] = [PeerId::random(), PeerId::random()];
    for (place, peer) in [("10.0.0.1:1", one), ("10.0.0.2:1", other), ("10.0.0.1:9", one)] {
        announcing.joined(vec![address(place, peer)]);
    }
    assert_eq!(places(&announcing), [("10.0.0.1:9".to_owned(), None), ("10.0.0.2:1".to_owned(), None)]);
}

#[test]
fn a_tracker_of_several_addresses_is_tried_at_each_and_what_it_did_is_told_once() {
    let mut announcing = Announcing::new(&SwarmSettings::new("127.0.0.1:0".parse().unwrap()), true, &[]);
    let peer = PeerId::random();
    announcing.found(&"here".into(), vec![vec![address("10.0.0.1:1", peer), address("[fd00::1]:1", peer)]]);
    let id = announcing.iter().find(|tracker| !tracker.is_itself()).unwrap().id;
    assert_eq!(announcing.status().next().unwrap().answers, None, "it was not asked yet");
    let tracker = announcing.get_mut(id).unwrap();
    tracker.set_due(key(1), at(1));
    let told: Vec<_> = (0..3)
        .map(|_| (tracker.failed(BTreeSet::new(), at(1)), tracker.is_asked(&key(1)), tracker.wake_at() == Some(at(1))))
        .collect();
    // At the next address it is asked without a pause, so nobody gives it up meanwhile.
    assert_eq!(told, [(false, true, true), (true, false, false), (false, false, false)]);
    assert_eq!(tracker.address().unwrap().to_string(), "[fd00::1]:1");
    assert_eq!(tracker.answered_last(), Some(false));
    assert_eq!([tracker.answered(), tracker.answered()], [true, false]);
    assert_eq!(tracker.answered_last(), Some(true));
}

#[test]
fn while_a_registry_s_trackers_are_silent_those_who_were_joined_stand_in() {
    let mut announcing = Announcing::new(&SwarmSettings::new("127.0.0.1:0".parse().unwrap()), true, &[]);
    let (registry, [found, joined]): (Arc<str>, _) = ("here".into(), [PeerId::random(), PeerId::random()]);
    announcing.note(&key(1), &registry);
    announcing.joined(vec![address("10.0.0.2:1", joined)]);
    announcing.found(&registry, vec![vec![address("10.0.0.1:1", found)]]);
    announcing.add(&key(1), at(1));
    let leader = |announcing: &Announcing| announcing.get(announcing.leading(&key(1))?)?.peer();
    let is_told = |tracker: &&Tracker| tracker.has(&key(1)) && !tracker.is_itself();
    let told = |announcing: &Announcing| announcing.iter().filter(is_told).count();
    assert_eq!((leader(&announcing), told(&announcing)), (Some(found), 1));
    let id = announcing.leading(&key(1)).unwrap();
    for _ in 0..2 {
        announcing.get_mut(id).unwrap().failed(BTreeSet::new(), at(1));
    }
    announcing.add(&key(1), at(1));
    assert_eq!((leader(&announcing), told(&announcing)), (Some(joined), 2), "the silent one is asked on");
    announcing.get_mut(id).unwrap().answered();
    announcing.add(&key(1), at(1));
    assert_eq!((leader(&announcing), told(&announcing)), (Some(found), 1));
}
