//! The tracker beside the simplest thing that could be one: a list of all that was announced.

use proptest::prelude::*;

use super::*;

const PLACES: [&str; 6] = ["eu/a/1", "eu/a/2", "eu/a", "eu/b/1", "us/a/1", ""];

#[derive(Clone, Debug)]
enum Event {
    Announce { peer: u64, place: usize, said: Vec<Said> },
    Withdraw { peer: u64, topic: u64 },
    Gone { peer: u64 },
    Pass { time_ms: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Said {
    topic: u64,
    pieces: u32,
    wants_peers: u16,
    wants_origin: u8,
}

impl Said {
    fn announcement(self) -> Announcement {
        let Self { topic: number, pieces, wants_peers, wants_origin } = self;
        Announcement { topic: topic(number), holds: Holds { pieces, of: 4 }, wants_peers, wants_origin }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let said = (0_u64..4, 0_u32..5, 0_u16..12, 0_u8..6).prop_map(|(topic, pieces, wants_peers, wants_origin)| Said {
        topic,
        pieces,
        wants_peers,
        wants_origin,
    });
    // Most peers stay where they are.
    let place = |peer: u64| prop_oneof![9 => Just(usize::try_from(peer).unwrap() % PLACES.len()), 1 => 0..PLACES.len()];
    let announce = (0_u64..12, prop::collection::vec(said, 0..4));
    let announce = announce.prop_flat_map(move |(peer, said)| (Just(peer), place(peer), Just(said)));
    let event = prop_oneof![
        8 => announce.prop_map(|(peer, place, said)| Event::Announce { peer, place, said }),
        1 => (0_u64..12, 0_u64..4).prop_map(|(peer, topic)| Event::Withdraw { peer, topic }),
        1 => (0_u64..12).prop_map(|peer| Event::Gone { peer }),
        4 => prop_oneof![3 => 0_u64..4_000, 1 => 0_u64..50_000].prop_map(|time_ms| Event::Pass { time_ms }),
    ];
    prop::collection::vec(event, 0..120)
}

/// One announcement.
#[derive(Clone, Debug)]
struct Entry {
    peer: u64,
    topic: u64,
    record: PeerRecord,
    has_all: bool,
    until: Moment,
    /// What it was last told that it may fetch, in which zone and until when.
    lease: (Vec<u8>, Moment),
}

#[derive(Debug, Default)]
struct Model {
    entries: Vec<Entry>,
}

impl Model {
    fn expire(&mut self, now: Moment) {
        self.entries.retain(|entry| now < entry.until);
    }

    fn usage(&self) -> [usize; 3] {
        let topics: BTreeSet<_> = self.entries.iter().map(|entry| entry.topic).collect();
        let peers: BTreeSet<_> = self.entries.iter().map(|entry| entry.peer).collect();
        [topics.len(), peers.len(), self.entries.len()]
    }

    fn others(&self, peer: u64, topic: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.topic == topic && entry.peer != peer)
    }

    /// The peer is there now; if it was in another zone, it holds nothing in that.
    fn moves(&mut self, peer: u64, record: &PeerRecord) {
        for entry in self.entries.iter_mut().filter(|entry| entry.peer == peer) {
            if Areas::of(&entry.record.locality) != Areas::of(&record.locality) {
                entry.lease = (Vec::new(), Moment::default());
            }
            entry.record = record.clone();
        }
    }

    fn says(&mut self, peer: u64, record: &PeerRecord, said: Said, until: Moment, lease: (Vec<u8>, Moment)) {
        self.entries.retain(|entry| (entry.peer, entry.topic) != (peer, said.topic));
        let has_all = said.announcement().holds.has_all();
        self.entries.push(Entry { peer, topic: said.topic, record: record.clone(), has_all, until, lease });
    }

    /// No stripe of a topic has two holders in a zone.
    fn check_leases(&self, now: Moment) -> Result<(), TestCaseError> {
        let mut holders = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| now < entry.lease.1) {
            for stripe in &entry.lease.0 {
                let Locality { region, zone, .. } = &entry.record.locality;
                let before = holders.insert((entry.topic, region, zone, stripe), entry.peer);
                prop_assert_eq!(before, None, "stripe {} of topic {} in {}/{}", stripe, entry.topic, region, zone);
            }
        }
        Ok(())
    }

    /// What an answer tells is so, and is all that it should be.
    fn check_told(
        &self,
        peer: u64,
        record: &PeerRecord,
        said: Said,
        answer: &Answer,
        most_told: u16,
    ) -> Result<(), TestCaseError> {
        let has_all = said.announcement().holds.has_all();
        let told: BTreeSet<_> = answer.peers.iter().map(|told| told.record.peer).collect();
        prop_assert_eq!(told.len(), answer.peers.len(), "no one is told of twice");
        for told in &answer.peers {
            let entry = self.others(peer, said.topic).find(|entry| entry.record == *told.record);
            prop_assert!(entry.is_some_and(|entry| entry.has_all == told.has_all), "{:?} is told of as it is", told);
            prop_assert!(!(has_all && told.has_all));
        }
        prop_assert!(answer.peers.is_sorted_by_key(|told| record.locality.nearness(&told.record.locality)));
        let (wants, others) = (usize::from(said.wants_peers.min(most_told)), self.others(peer, said.topic).count());
        let useful = self.others(peer, said.topic).filter(|entry| !(has_all && entry.has_all)).count();
        prop_assert!(told.len() <= wants);
        if !has_all || others <= wants {
            prop_assert_eq!(told.len(), useful.min(wants));
        }
        Ok(())
    }
}

/// Plays the events to a tracker and to the model, and gives all answers.
fn play(events: &[Event], settings: &TrackerSettings, seed: u64) -> Result<Vec<Result<Answer, Refusal>>, TestCaseError> {
    let (mut bed, mut model, mut all) = (Bed::new(settings.clone()), Model::default(), Vec::new());
    bed.rng = StdRng::seed_from_u64(seed);
    for event in events {
        match event {
            Event::Announce { peer: number, place, said } => {
                let record = record(*number, PLACES[*place]);
                let announcements: Vec<_> = said.iter().map(|said| said.announcement()).collect();
                let answers = bed.tracker.announce(&record, bed.from, &announcements, bed.now, &mut bed.rng);
                prop_assert_eq!(answers.len(), said.len());
                if !said.is_empty() {
                    model.moves(*number, &record);
                }
                for (said, answer) in said.iter().zip(&answers) {
                    let answer = answer.as_ref().expect("nothing is near a bound");
                    let lease = (answer.origin.stripes.clone(), bed.now + answer.origin.term);
                    prop_assert!(lease.0.len() <= said.wants_origin.into() && (lease.0.is_empty() || said.pieces < 4));
                    model.says(*number, &record, *said, bed.now + settings.lease, lease);
                    model.check_told(*number, &record, *said, answer, settings.most_told)?;
                }
                all.extend(answers);
            }
            Event::Withdraw { peer: number, topic: of } => {
                bed.tracker.withdraw(&peer(*number), &topic(*of), bed.now);
                model.entries.retain(|entry| (entry.peer, entry.topic) != (*number, *of));
            }
            Event::Gone { peer: number } => {
                bed.tracker.gone(&peer(*number), bed.now);
                model.entries.retain(|entry| entry.peer != *number);
            }
            Event::Pass { time_ms } => {
                bed.pass(*time_ms);
                model.expire(bed.now);
            }
        }
        prop_assert_eq!(bed.usage(), model.usage());
        prop_assert_eq!(bed.tracker.wake_at(), model.entries.iter().map(|entry| entry.until).min());
        model.check_leases(bed.now)?;
    }
    let Totals { announced, expired, withdrawn, broken_off, .. } = bed.tracker.totals();
    prop_assert_eq!(announced, expired + withdrawn + broken_off + model.entries.len() as u64);
    Ok(all)
}

proptest! {
    #[test]
    fn a_tracker_is_a_list_of_what_was_announced(events in events(), most_told in 1_u16..10, seed: u64) {
        let settings = TrackerSettings { most_told, ..TrackerSettings::default() };
        let answers = play(&events, &settings, seed)?;
        prop_assert_eq!(play(&events, &settings, seed)?, answers, "one seed gives one run");
    }

    #[test]
    fn the_bounds_hold(
        events in events(),
        seed: u64,
        (most_topics, most_peers, most_peers_of_topic) in (1_usize..5, 1_usize..6, 1_usize..5),
        (most_topics_of_peer, most_announcements) in (1_usize..4, 1_usize..12),
    ) {
        let settings = TrackerSettings {
            most_topics,
            most_peers,
            most_peers_of_topic,
            most_topics_of_peer,
            most_announcements,
            ..TrackerSettings::default()
        };
        let mut bed = Bed::new(settings.clone());
        bed.rng = StdRng::seed_from_u64(seed);
        for event in events {
            match event {
                Event::Announce { peer: number, place, said } => {
                    let record = record(number, PLACES[place]);
                    for said in said {
                        let before = bed.usage();
                        let is_refused = bed.try_announce(&record, said.announcement()).is_err();
                        prop_assert!(!is_refused || bed.usage() == before, "what is refused leaves nothing");
                        let is_full = before[0] == most_topics || before[1] == most_peers || before[2] == most_announcements;
                        let is_full = is_full || before[2] >= most_topics_of_peer.min(most_peers_of_topic);
                        prop_assert!(!is_refused || is_full, "and nothing is refused without need");
                    }
                }
                Event::Withdraw { peer: number, topic: of } => bed.tracker.withdraw(&peer(number), &topic(of), bed.now),
                Event::Gone { peer: number } => bed.tracker.gone(&peer(number), bed.now),
                Event::Pass { time_ms } => bed.pass(time_ms),
            }
            let usage = bed.usage();
            prop_assert!(usage[0] <= most_topics && usage[1] <= most_peers && usage[2] <= most_announcements, "{usage:?}");
            for number in 0..12 {
                let of_peer = bed.tracker.peers.number(&peer(number)).map_or(0, |peer| bed.tracker.peers.get(peer).topics.len());
                let of_topic = bed.tracker.topics.number(&topic(number)).map_or(0, |topic| bed.tracker.topics.get(topic).len());
                prop_assert!(of_peer <= most_topics_of_peer && of_topic <= most_peers_of_topic, "{of_peer} {of_topic}");
            }
        }
        bed.pass(45_000);
        prop_assert_eq!(bed.usage(), [0; 3]);
    }
}
