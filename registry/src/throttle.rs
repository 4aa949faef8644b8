//! How much each caller may take: requests, bytes and pulls at once. Who has an account is known by it, everybody else by the address.
//!
//! What is asked over the allowance is refused. Bytes are counted as they are sent: a pull that was let in comes to its end however large
//! it is, at the rate that is allowed, and the next is let in when that is kept again. What was not sent because a pull broke off is not
//! counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::access::network;

/// What was not used in this time can be used at once.
const BURST: Duration = Duration::from_secs(10);
/// The most callers that are kept count of.
const MOST: usize = 65_536;
/// After how long somebody may try again who pulls too much at once: nobody knows when the first of these pulls ends.
const PULL_WAIT: Duration = Duration::from_secs(1);
/// How much of a pull is sent at once at least, in bytes, however little a caller may take in a second.
const LEAST_SENT: u64 = 64 << 10;

/// What each caller may take; 0 is as much as it likes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allowance {
    /// Requests in a second.
    pub requests_per_second: u32,
    /// Bytes of blobs in a second.
    pub bytes_per_second: u64,
    /// Blobs at once.
    pub concurrent_pulls: u32,
}

/// Why a caller must wait, and how long.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{limit}; try again in {} s", .wait.as_secs())]
pub struct Throttled {
    /// What it had too much of.
    pub limit: String,
    /// How long.
    pub wait: Duration,
}

/// Who is counted as one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Subject {
    Account(String),
    Address(IpAddr),
}

/// Keeps count of what callers take.
pub struct Throttle {
    allowance: Allowance,
    taken: Arc<Mutex<HashMap<Subject, Taken>>>,
}

/// What one has taken: until when its allowance is used up, and what it is at.
#[derive(Clone, Copy, Debug)]
struct Taken {
    requests_until: Instant,
    bytes_until: Instant,
    pulls: u32,
}

/// A pull that is going on; it ends when this is dropped.
pub struct Pull {
    subject: Subject,
    taken: Arc<Mutex<HashMap<Subject, Taken>>>,
    bytes_per_second: u64,
}

impl Throttle {
    /// Nothing is taken yet.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, taken: Arc::default() }
    }

    /// Counts a request.
    pub fn request(&self, account: Option<&str>, address: IpAddr) -> Result<(), Throttled> {
        self.request_at(account, address, Instant::now())
    }

    fn request_at(&self, account: Option<&str>, address: IpAddr, now: Instant) -> Result<(), Throttled> {
        let rate = self.allowance.requests_per_second;
        if rate == 0 {
            return Ok(());
        }
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let one = entry(&mut taken, subject(account, address), now)?;
        let spent = Duration::from_secs(1) / rate;
        one.requests_until = spend(one.requests_until, spent, now, || format!("more than {rate} requests a second"))?;
        Ok(())
    }

    /// Counts a pull, which goes on until what is returned is dropped.
    pub fn pull(&self, account: Option<&str>, address: IpAddr) -> Result<Option<Pull>, Throttled> {
        self.pull_at(account, address, Instant::now())
    }

    fn pull_at(&self, account: Option<&str>, address: IpAddr, now: Instant) -> Result<Option<Pull>, Throttled> {
        let Allowance { bytes_per_second, concurrent_pulls: most, .. } = self.allowance;
        if bytes_per_second == 0 && most == 0 {
            return Ok(None);
        }
        let subject = subject(account, address);
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let one = entry(&mut taken, subject.clone(), now)?;
        if most > 0 && one.pulls >= most {
            return Err(Throttled { limit: format!("more than {most} pulls at once"), wait: PULL_WAIT });
        }
        if let Some(wait) = over(one.bytes_until, now) {
            let limit = format!("more than {bytes_per_second} bytes a second");
            return Err(Throttled { limit, wait: whole_seconds(wait) });
        }
        one.pulls += 1;
        Ok(Some(Pull { subject, taken: self.taken.clone(), bytes_per_second }))
    }

    /// Counts bytes that somebody else sends, who can't be told to wait: all of them at once, before.
    pub fn bytes(&self, account: Option<&str>, address: IpAddr, bytes: u64) -> Result<(), Throttled> {
        self.bytes_at(account, address, bytes, Instant::now())
    }

    fn bytes_at(&self, account: Option<&str>, address: IpAddr, bytes: u64, now: Instant) -> Result<(), Throttled> {
        let rate = self.allowance.bytes_per_second;
        if rate == 0 {
            return Ok(());
        }
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let one = entry(&mut taken, subject(account, address), now)?;
        one.bytes_until = spend(one.bytes_until, time(bytes, rate), now, || format!("more than {rate} bytes a second"))?;
        Ok(())
    }
}

impl Pull {
    /// How long to wait before more is sent; `None` where it can be sent now.
    pub fn wait(&self) -> Option<Duration> {
        self.wait_at(Instant::now())
    }

    fn wait_at(&self, now: Instant) -> Option<Duration> {
        if self.bytes_per_second == 0 {
            return None;
        }
        let taken = self.taken.lock().expect("nobody panics with it");
        over(taken.get(&self.subject)?.bytes_until, now)
    }

    /// The most to send before [`Self::wait`] is asked again, in bytes.
    pub fn most(&self) -> u64 {
        if self.bytes_per_second == 0 { u64::MAX } else { self.bytes_per_second.max(LEAST_SENT) }
    }

    /// Counts bytes that are sent.
    pub fn sent(&self, bytes: u64) {
        self.sent_at(bytes, Instant::now());
    }

    fn sent_at(&self, bytes: u64, now: Instant) {
        if self.bytes_per_second == 0 {
            return;
        }
        let mut taken = self.taken.lock().expect("nobody panics with it");
        if let Some(one) = taken.get_mut(&self.subject) {
            one.bytes_until = one.bytes_until.max(now) + time(bytes, self.bytes_per_second);
        }
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().expect("nobody panics with it");
        if let Some(one) = taken.get_mut(&self.subject) {
            one.pulls -= 1;
        }
    }
}

fn subject(account: Option<&str>, address: IpAddr) -> Subject {
    account.map_or_else(|| Subject::Address(network(address)), |name| Subject::Account(name.to_owned()))
}

/// What one has taken. Who has nothing left of what it took is forgotten when there are too many.
fn entry(taken: &mut HashMap<Subject, Taken>, subject: Subject, now: Instant) -> Result<&mut Taken, Throttled> {
    if taken.len() >= MOST && !taken.contains_key(&subject) {
        taken.retain(|_, one| one.pulls > 0 || one.requests_until > now || one.bytes_until > now);
        if taken.len() >= MOST {
            return Err(Throttled { limit: "too many callers at once".to_owned(), wait: BURST });
        }
    }
    Ok(taken.entry(subject).or_insert(Taken { requests_until: now, bytes_until: now, pulls: 0 }))
}

/// Until when the allowance is used up once this is taken; what was spared is there for a burst alone.
fn spend(until: Instant, spent: Duration, now: Instant, limit: impl Fn() -> String) -> Result<Instant, Throttled> {
    let until = until.max(now);
    let over = until.duration_since(now);
    if over >= BURST {
        return Err(Throttled { limit: limit(), wait: whole_seconds(over.saturating_sub(BURST)) });
    }
    Ok(until + spent)
}

/// How long it is until no more is used up than can be at once; `None` where it is so now.
fn over(until: Instant, now: Instant) -> Option<Duration> {
    until.saturating_duration_since(now).checked_sub(BURST).filter(|wait| !wait.is_zero())
}

/// A wait as it is told: in whole seconds, so that who waits it out has waited long enough.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0).max(u64::from(wait.is_zero())))
}

/// The time that so many bytes take at a rate. No wait is longer than an hour.
fn time(bytes: u64, bytes_per_second: u64) -> Duration {
    let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)).min(Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn requests_come_back_with_time() {
        let throttle = Throttle::new(Allowance { requests_per_second: 2, ..Allowance::default() });
        let now = Instant::now();
        for _ in 0..20 {
            throttle.request_at(Some("a"), HERE, now).unwrap();
        }
        let refused = throttle.request_at(Some("a"), HERE, now).unwrap_err();
        assert_eq!(refused.to_string(), "more than 2 requests a second; try again in 1 s");
        throttle.request_at(Some("b"), HERE, now).unwrap();
        throttle.request_at(None, HERE, now).unwrap();
        let later = now + refused.wait;
        for _ in 0..2 {
            throttle.request_at(Some("a"), HERE, later).unwrap();
        }
        throttle.request_at(Some("a"), HERE, later).unwrap_err();
    }

    #[test]
    fn bytes_that_others_send_are_counted_before() {
        let throttle = Throttle::new(Allowance { bytes_per_second: 100, ..Allowance::default() });
        let now = Instant::now();
        throttle.bytes_at(None, HERE, 3050, now).unwrap();
        let refused = throttle.bytes_at(None, HERE, 1, now).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(21));
        throttle.bytes_at(None, HERE, 1, now + refused.wait).unwrap();
        throttle.request_at(None, HERE, now).unwrap();
    }

    #[test]
    fn a_pull_waits_for_what_it_has_sent_and_no_more() {
        let throttle = Throttle::new(Allowance { bytes_per_second: 100, ..Allowance::default() });
        let pull = |account| throttle.pull(Some(account), HERE).unwrap().unwrap();
        let (one, second, other) = (pull("a"), pull("a"), pull("b"));
        let now = Instant::now();
        assert_eq!(one.wait_at(now), None);
        one.sent_at(1000, now);
        assert_eq!(one.wait_at(now), None, "ten seconds' worth is there at once");
        one.sent_at(500, now);
        assert_eq!(one.wait_at(now), Some(Duration::from_secs(5)));
        let refused = throttle.pull_at(Some("a"), HERE, now).map(|_| ()).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(5), "the next waits before it begins");
        // What another pull of the same account sends counts as well, and ends with the time, not with the pull.
        second.sent_at(100, now);
        drop(one);
        assert_eq!(second.wait_at(now), Some(Duration::from_secs(6)));
        assert_eq!(second.wait_at(now + Duration::from_secs(6)), None);
        assert!(throttle.pull_at(Some("a"), HERE, now + Duration::from_secs(6)).is_ok());
        assert_eq!(other.wait_at(now), None);
    }

    #[test]
    fn a_wait_is_told_in_seconds_that_are_enough() {
        for (wait, told) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (20_000, 20)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), Duration::from_secs(told), "{wait} ms");
        }
    }

    #[test]
    fn a_pull_that_ended_makes_room() {
        let throttle = Throttle::new(Allowance { concurrent_pulls: 2, ..Allowance::default() });
        let pull = || throttle.pull(Some("a"), HERE);
        let (one, two) = (pull().unwrap(), pull().unwrap());
        assert!(one.is_some() && two.is_some());
        assert!(pull().is_err());
        drop(one);
        pull().unwrap();
    }

    #[test]
    fn callers_that_are_kept_count_of_are_bounded() {
        let throttle = Throttle::new(Allowance { requests_per_second: 1, ..Allowance::default() });
        let now = Instant::now();
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..u32::try_from(MOST).unwrap() {
            throttle.request_at(None, address(number), now).unwrap();
        }
        throttle.request_at(None, address(0), now).unwrap();
        throttle.request_at(None, address(u32::MAX), now).unwrap_err();
        throttle.request_at(None, address(u32::MAX), now + Duration::from_secs(3)).unwrap();
    }
}
