//! Whatever happens: the bounds hold, who is shunned is never given out, and who is let be is not dialed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Learn(u16, u8),
    Say(u8, u16, bool),
    Unsay(u8, u16),
    Dial(u8, usize),
    Connected(u16),
    Used(u16),
    Failed(u16),
    Lost(u16),
    Drop,
    Ban(u16, bool),
    Introduce(u8, u16),
    Pause(u32),
}

fn events() -> impl Strategy<Value = Event> {
    let who = || 0_u16..40;
    prop_oneof![
        6 => (who(), 0_u8..6).prop_map(|(who, source)| Event::Learn(who, source)),
        6 => (0_u8..6, who(), any::<bool>()).prop_map(|(topic, who, has_all)| Event::Say(topic, who, has_all)),
        1 => (0_u8..6, who()).prop_map(|(topic, who)| Event::Unsay(topic, who)),
        4 => (0_u8..6, 0_usize..6).prop_map(|(topic, peers)| Event::Dial(topic, peers)),
        3 => who().prop_map(Event::Connected),
        1 => who().prop_map(Event::Used),
        3 => who().prop_map(Event::Failed),
        2 => who().prop_map(Event::Lost),
        1 => Just(Event::Drop),
        1 => (who(), any::<bool>()).prop_map(|(who, is_piece)| Event::Ban(who, is_piece)),
        3 => (0_u8..6, who()).prop_map(|(topic, who)| Event::Introduce(topic, who)),
        2 => (0_u32..40_000).prop_map(Event::Pause),
    ]
}

fn settings() -> AcquaintanceSettings {
    AcquaintanceSettings {
        peers_per_topic: 5,
        connections: 8,
        dials: 3,
        records: 16,
        records_per_teller: 6,
        sayings: 12,
        sayings_per_topic: 6,
        sayings_per_peer: 2,
        introduced: 4,
        ..AcquaintanceSettings::default()
    }
}

fn source(number: u8) -> Source {
    match number {
        0 => Source::Itself,
        1 => Source::Tracker,
        2 => Source::Static,
        3 => Source::Mdns,
        teller => Source::Exchange(peer(teller.into())),
    }
}

/// What must hold, kept in the plainest way.
#[derive(Default)]
struct Model {
    banned_until: BTreeMap<PeerId, Moment>,
    let_be_until: BTreeMap<PeerId, Moment>,
    times: BTreeMap<PeerId, u32>,
    connected: BTreeMap<PeerId, Moment>,
    dialing: BTreeMap<PeerId, Moment>,
    told: BTreeMap<PeerId, Moment>,
    is_static: BTreeSet<PeerId>,
}

impl Model {
    fn is_banned(&self, peer: PeerId, now: Moment) -> bool {
        self.banned_until.get(&peer).is_some_and(|until| now < *until)
    }

    fn fail(&mut self, peer: PeerId, now: Moment) {
        let times = self.times.entry(peer).or_default();
        *times += 1;
        let least = Duration::from_millis(100 << (*times - 1).min(10)).min(Duration::from_secs(15));
        let until = self.let_be_until.entry(peer).or_default();
        *until = (*until).max(now + least);
    }

    fn clear(&mut self, peer: PeerId) {
        self.times.remove(&peer);
        self.let_be_until.remove(&peer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn bounds_hold_and_the_shunned_are_shunned(events in prop::collection::vec(events(), 0..400), seed: u64) {
        // Failures are kept in a book of as many places as there are records, which are few here.
        let settings = settings();
        let mut book = book(settings.clone());
        book.failures = super::super::Failures::new(settings.least_backoff, settings.most_backoff, 100);
        let (mut model, mut now, mut rng) = (Model::default(), s(0), rng(seed));
        for event in events {
            match event {
                Event::Learn(who, from) => {
                    let is_liar = matches!(source(from), Source::Exchange(teller) if model.is_banned(teller, now));
                    let is_taken = book.learn(record(who), source(from), now);
                    prop_assert!(!is_taken || who != OWN && !is_liar);
                    if is_taken {
                        model.told.insert(peer(who), now);
                        if from == 2 {
                            model.is_static.insert(peer(who));
                        }
                    }
                }
                Event::Say(topic, who, has_all) => {
                    let holds = if has_all { Holds::All } else { Holds::Some };
                    let is_taken = book.says(TopicKey([topic; 32]), peer(who), holds, now);
                    prop_assert!(!is_taken || who != OWN && !model.is_banned(peer(who), now));
                }
                Event::Unsay(topic, who) => book.unsay(&TopicKey([topic; 32]), &peer(who)),
                Event::Dial(topic, peers) => {
                    let given_up: Vec<_> = model.dialing.extract_if(.., |_, began| now.since(*began) >= settings.dial_timeout).collect();
                    for (peer, _) in given_up {
                        model.fail(peer, now);
                    }
                    let need = Need { peers, beyond: 0, topic: TopicKey([topic; 32]) };
                    let dialed = book.whom_to_dial(&[need], now, &mut rng);
                    prop_assert!(dialed.len() + peers <= settings.peers_per_topic.max(settings.blind_connections).max(peers));
                    for who in dialed {
                        prop_assert!(!model.is_banned(who, now), "{who} is banned");
                        prop_assert!(model.let_be_until.get(&who).is_none_or(|until| now >= *until), "{who} is let be");
                        prop_assert!(!model.connected.contains_key(&who) && !model.dialing.contains_key(&who) && who != peer(OWN));
                        let is_fresh = model.told.get(&who).is_some_and(|told| now.since(*told) < settings.record_for);
                        prop_assert!(is_fresh || model.is_static.contains(&who), "{who} is unheard of");
                        prop_assert!(book.dialing(who, now));
                        model.dialing.insert(who, now);
                    }
                }
                Event::Connected(who) => {
                    let who = peer(who);
                    if model.dialing.remove(&who).is_some() {
                        model.told.insert(who, now);
                    }
                    let may_stay = book.connected(who, now);
                    let has_room = model.connected.len() < settings.connections || model.connected.contains_key(&who);
                    prop_assert_eq!(may_stay, has_room && !model.is_banned(who, now) && who != peer(OWN));
                    if may_stay {
                        model.connected.entry(who).or_insert(now);
                    }
                }
                Event::Used(who) => book.used(&peer(who), now),
                Event::Failed(who) => {
                    book.failed(peer(who), now, &mut rng);
                    model.dialing.remove(&peer(who));
                    model.fail(peer(who), now);
                }
                Event::Lost(who) => {
                    book.lost(peer(who), now, &mut rng);
                    if let Some(since) = model.connected.remove(&peer(who)) {
                        model.told.insert(peer(who), now);
                        if now.since(since) < settings.steady_after { model.fail(peer(who), now) } else { model.clear(peer(who)) }
                    }
                }
                Event::Drop => {
                    for who in book.whom_to_drop(now) {
                        prop_assert!(model.connected.remove(&who).is_some());
                        model.told.insert(who, now);
                        model.clear(who);
                        book.lost(who, now, &mut rng);
                        // A banned one may be dropped before it has been connected for long.
                        book.failures.clear(&who);
                    }
                }
                Event::Ban(who, is_piece) => {
                    let until = book.ban(peer(who), if is_piece { Why::WrongPiece } else { Why::Protocol }, now);
                    if model.is_banned(peer(who), now) {
                        prop_assert_eq!(until, model.banned_until[&peer(who)]);
                    } else {
                        prop_assert!(until >= now + settings.least_ban && until <= now + settings.most_ban);
                    }
                    model.banned_until.insert(peer(who), until);
                }
                Event::Introduce(topic, to) => {
                    let told = book.introduce(&TopicKey([topic; 32]), &record(to), now, &mut rng);
                    prop_assert!(told.len() <= settings.introduced);
                    let distinct: BTreeSet<_> = told.iter().map(|record| record.peer).collect();
                    prop_assert_eq!(distinct.len(), told.len());
                    for who in distinct {
                        prop_assert!(who != peer(to) && who != peer(OWN) && !model.is_banned(who, now), "{who} is banned");
                        prop_assert!(model.connected.contains_key(&who) || !model.times.contains_key(&who), "{who} has failed");
                    }
                }
                Event::Pause(ms) => now += Duration::from_millis(ms.into()),
            }
            let usage = book.usage();
            prop_assert!(usage.records <= settings.records && usage.sayings <= settings.sayings, "{usage:?}");
            prop_assert_eq!((usage.connected, usage.dialing), (model.connected.len(), model.dialing.len()));
            prop_assert!(usage.connected <= settings.connections && usage.dialing <= settings.dials);
            for who in (0..40).map(peer) {
                prop_assert_eq!(book.is_banned(&who, now), model.is_banned(who, now));
                let topics = (0..6).filter(|topic| book.sayings.of(&TopicKey([*topic; 32])).any(|(peer, _)| peer == who)).count();
                prop_assert!(topics <= settings.sayings_per_peer);
            }
            let of = |topic| book.sayings.of(&TopicKey([topic; 32])).count();
            prop_assert_eq!((0..6).map(of).sum::<usize>(), usage.sayings);
            prop_assert!((0..6).all(|topic| of(topic) <= settings.sayings_per_topic));
        }
    }
}
