use rand::TryRng;

use super::*;
use crate::locality::Nearness;

/// Counts what is drawn.
struct Counting {
    rng: StdRng,
    drawn: usize,
}

impl TryRng for Counting {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.drawn += 1;
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.drawn += 1;
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.drawn += bytes.len();
        self.rng.try_fill_bytes(bytes)
    }
}

fn wanting(wants_peers: u16, pieces: u32) -> Announcement {
    Announcement { wants_peers, ..says(topic(1), pieces) }
}

#[test]
fn the_near_come_first_and_some_are_from_elsewhere() {
    let mut bed = Bed::new(TrackerSettings::default());
    let places = ["eu/a/1", "eu/a/2", "eu/b/1", "us/a/1"];
    for (number, place) in (0..400).zip(places.iter().cycle()) {
        bed.announce(&record(number, place), wanting(0, if number % 20 < 4 { 100 } else { 1 }));
    }
    let asker = record(1_000, "eu/a/1");
    let mut sum = [0_usize; 4];
    for _ in 0..50 {
        let answer = bed.announce(&asker, wanting(32, 0));
        assert_eq!(answer.peers.len(), 32);
        let near: Vec<_> = answer.peers.iter().map(|told| asker.locality.nearness(&told.record.locality)).collect();
        assert!(near.is_sorted());
        for (sum, place) in sum.iter_mut().zip(places) {
            let there = |told: &&Told| told.record.locality.nearness(&record(0, place).locality) <= Nearness::Rack;
            *sum += answer.peers.iter().filter(there).count();
        }
        assert!(answer.peers.iter().filter(|told| told.has_all).count() >= 8, "seeds are a fifth, and preferred");
    }
    // Half of the rack, two of each kind of elsewhere, and what is left of the zone, of whose 200 the rack's are half.
    let per_answer = sum.map(|sum| sum / 50);
    assert!(per_answer[0] >= 16 && per_answer[1] >= 4 && per_answer[2..] == [2, 2], "{per_answer:?}");
    let few = bed.announce(&asker, wanting(3, 0)).peers;
    assert!(few.len() == 3 && few.iter().all(|told| told.record.locality.is_same_zone(&asker.locality)));
}

#[test]
fn who_is_alone_in_its_zone_hears_of_others_and_a_seed_of_downloaders() {
    let mut bed = Bed::new(TrackerSettings::default());
    for number in 0..20 {
        bed.announce(&record(number, "us/b/1"), wanting(0, if number < 15 { 100 } else { 1 }));
    }
    let asker = record(1_000, "eu/a/1");
    assert_eq!(bed.announce(&asker, wanting(32, 0)).peers.len(), 20);
    assert_eq!(bed.announce(&asker, wanting(u16::MAX, 0)).peers.len(), 20);
    assert_eq!(bed.announce(&asker, wanting(0, 0)).peers.len(), 0);
    let as_seed = bed.announce(&asker, wanting(32, 100)).peers;
    assert!(as_seed.len() == 5 && as_seed.iter().all(|told| !told.has_all));
}

#[test]
fn the_work_and_the_told_do_not_grow_with_the_topic() {
    let drawn = |peers: u64| {
        let mut bed = Bed::new(TrackerSettings::default());
        for number in 0..peers {
            bed.announce(&record(number, &format!("eu/{}/{}", number % 3, number % 60)), wanting(0, 1));
        }
        let mut rng = Counting { rng: StdRng::seed_from_u64(1), drawn: 0 };
        let answers = bed.tracker.announce(&record(0, "eu/0/0"), bed.from, &[wanting(u16::MAX, 1)], bed.now, &mut rng);
        assert_eq!(answers[0].as_ref().unwrap().peers.len(), 32);
        rng.drawn
    };
    let (few, many) = (drawn(300), drawn(10_000));
    assert!(many < 500 && many <= few + 100, "{few} and {many}");
}

#[test]
fn a_flash_crowd_of_two_zones_is_one_swarm() {
    let mut bed = Bed::new(TrackerSettings::default());
    let mut links = BTreeMap::<PeerId, BTreeSet<PeerId>>::new();
    let all: Vec<_> = (0..1_000).map(|number| record(number, if number < 900 { "eu/a" } else { "eu/b" })).collect();
    for _ in 0..2 {
        for one in &all {
            for told in bed.announce(one, wanting(8, 0)).peers {
                links.entry(one.peer).or_default().insert(told.record.peer);
                links.entry(told.record.peer).or_default().insert(one.peer);
            }
        }
    }
    let (mut reached, mut next) = (BTreeSet::from([all[0].peer]), vec![all[0].peer]);
    while let Some(at) = next.pop() {
        next.extend(links[&at].iter().copied().filter(|other| reached.insert(*other)));
    }
    assert_eq!(reached.len(), 1_000);
}

#[test]
fn a_lone_seed_and_a_lone_peer_of_another_zone_are_told_to_few() {
    let mut bed = Bed::new(TrackerSettings::default());
    let (seed, far) = (record(5_000, "eu/a/1"), record(5_001, "us/b/1"));
    bed.announce(&seed, wanting(0, 100));
    bed.announce(&far, wanting(0, 100));
    let all: Vec<_> = (0..2_000).map(|number| record(number, &format!("eu/a/{}", number % 20))).collect();
    for one in &all {
        bed.announce(one, wanting(0, 0));
    }
    let mut told = BTreeMap::<PeerId, u32>::new();
    for one in &all {
        for other in bed.announce(one, wanting(16, 1)).peers {
            *told.entry(other.record.peer).or_default() += 1;
        }
    }
    // Each hears of 16, so each is told 16 times; these two more often, and by far not 2,000 times.
    assert!(
        (10..150).contains(&told[&seed.peer]) && (10..150).contains(&told[&far.peer]),
        "{} {}",
        told[&seed.peer],
        told[&far.peer]
    );
}
