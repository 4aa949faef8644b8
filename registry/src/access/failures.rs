use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::{Duration, Instant},
};

use moka::sync::Cache;

/// In this time failures are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// The most that are remembered.
const MOST: usize = 65_536;
/// How many are remembered to have been right.
const MOST_MET: u64 = 100_000;
/// How long, since they last were.
const MET_FOR: Duration = Duration::from_hours(7 * 24);
/// The longest name that is counted by itself, in bytes; no account has one so long.
const MOST_NAME_BYTES: usize = 128;

/// The logins that failed lately, so that guessing is slow.
pub struct Failures {
    per_account: u32,
    per_address: u32,
    counts: Mutex<HashMap<Whose, Count>>,
    /// Who was right from where: what strangers fail at elsewhere does not count against them.
    met: Cache<(String, IpAddr), ()>,
}

#[derive(Clone, Eq, Hash, PartialEq)]
enum Whose {
    Account(String),
    Address(IpAddr),
    AccountFrom(String, IpAddr),
}

struct Count {
    failures: u32,
    ends_at: Instant,
}

impl Failures {
    /// None yet; so many of an account, and from an address, are borne in a minute.
    pub fn new(per_account: u32, per_address: u32) -> Self {
        Self {
            per_account,
            per_address,
            counts: Mutex::default(),
            met: Cache::builder().max_capacity(MOST_MET).time_to_idle(MET_FOR).build(),
        }
    }

    /// How long nobody may try this account, or from this address.
    pub fn wait(&self, name: &str, address: IpAddr) -> Option<Duration> {
        self.wait_at(name, address, Instant::now())
    }

    /// As [`Self::wait`], where what others failed at elsewhere does not count.
    pub fn wait_here(&self, name: &str, address: IpAddr) -> Option<Duration> {
        let [_, here @ ..] = self.all(name, address);
        self.wait_for(here, Instant::now())
    }

    fn wait_at(&self, name: &str, address: IpAddr, now: Instant) -> Option<Duration> {
        let [elsewhere, here @ ..] = self.all(name, address);
        let is_met = self.met.contains_key(&(name.to_owned(), network(address)));
        self.wait_for((!is_met).then_some(elsewhere).into_iter().chain(here), now)
    }

    fn wait_for(&self, those: impl IntoIterator<Item = (Whose, u32)>, now: Instant) -> Option<Duration> {
        let counts = self.counts.lock().expect("nobody panics with it");
        let waits = those.into_iter().filter_map(|(whose, most)| {
            let count = counts.get(&whose).filter(|count| count.failures >= most)?;
            count.ends_at.checked_duration_since(now)
        });
        // Rounded up: who waits as long as it is told must find it over.
        waits.max().map(|wait| Duration::from_secs(wait.as_secs() + 1))
    }

    /// How long nobody may try from this address, whoever they say they are.
    pub fn wait_of_address(&self, address: IpAddr) -> Option<Duration> {
        self.wait_for([(Whose::Address(network(address)), self.per_address)], Instant::now())
    }

    /// Notes that somebody failed there who is no account.
    pub fn note_of_address(&self, address: IpAddr) {
        self.note_all([(Whose::Address(network(address)), self.per_address)], Instant::now());
    }

    /// Notes that one was right.
    pub fn note_success(&self, name: &str, address: IpAddr) {
        self.met.insert((name.to_owned(), network(address)), ());
    }

    /// Notes that one failed.
    pub fn note(&self, name: &str, address: IpAddr) {
        self.note_at(name, address, Instant::now());
    }

    fn note_at(&self, name: &str, address: IpAddr, now: Instant) {
        self.note_all(self.all(name, address), now);
    }

    fn note_all(&self, those: impl IntoIterator<Item = (Whose, u32)>, now: Instant) {
        let mut counts = self.counts.lock().expect("nobody panics with it");
        if counts.len() + 3 > MOST {
            counts.retain(|_, count| count.ends_at > now);
        }
        if counts.len() + 3 > MOST {
            let mut ends: Vec<Instant> = counts.values().map(|count| count.ends_at).collect();
            let (_, first_eighth, _) = ends.select_nth_unstable(MOST / 8);
            let first_eighth = *first_eighth;
            counts.retain(|_, count| count.ends_at > first_eighth);
        }
        for (whose, _) in those {
            let count = counts.entry(whose).or_insert(Count { failures: 0, ends_at: now + WINDOW });
            if count.ends_at <= now {
                *count = Count { failures: 0, ends_at: now + WINDOW };
            }
            count.failures += 1;
        }
    }

    /// What a failure counts against, and how many of each are borne.
    fn all(&self, name: &str, address: IpAddr) -> [(Whose, u32); 3] {
        let address = network(address);
        let end = (0..=MOST_NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let name = name[..end].to_owned();
        [
            (Whose::Account(name.clone()), self.per_account),
            (Whose::AccountFrom(name, address), self.per_account),
            (Whose::Address(address), self.per_address),
        ]
    }
}

/// What one caller can hardly have many of: an address, or where these are plenty, 64 bits of one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_an_address_have_limits_of_their_own() {
        let failures = Failures::new(2, 3);
        let (now, here, there) = (Instant::now(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..2 {
            assert_eq!(failures.wait_at("a", here, now), None);
            failures.note_at("a", here, now);
        }
        assert!(failures.wait_at("a", there, now).is_some(), "whoever tries the account");
        assert_eq!(failures.wait_here("a", there), None, "whoever is right there already");
        assert!(failures.wait_here("a", here).is_some());
        assert_eq!(failures.wait_at("b", here, now), None);
        failures.note_at("b", here, now);
        let wait = failures.wait_at("c", here, now).expect("whatever this address tries");
        assert_eq!(failures.wait_at("c", there, now), None);
        assert_eq!(failures.wait_at("c", here, now + wait), None);
        assert_eq!(failures.wait_at("a", there, now + wait), None);
        failures.note_at("a", here, now + wait);
        assert_eq!(failures.wait_at("a", there, now + wait), None, "counted anew");
    }

    #[test]
    fn neighbours_in_a_network_of_plenty_are_one() {
        let failures = Failures::new(9, 1);
        let now = Instant::now();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        failures.note_at("a", address("2001:db8::1"), now);
        assert!(failures.wait_at("b", address("2001:db8::2"), now).is_some());
        assert_eq!(failures.wait_at("b", address("2001:db8:0:1::1"), now), None);
        failures.note_at("a", address("10.0.0.1"), now);
        assert!(failures.wait_at("b", address("::ffff:10.0.0.1"), now).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let failures = Failures::new(1, 1);
        let now = Instant::now();
        for number in 0..40_000_u32 {
            failures.note_at(&format!("{number}{}", "é".repeat(200)), IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(failures.counts.lock().unwrap().len() <= MOST);
    }
}
