//! Logins that fail. To a registry all clients come from the edge's one address, and it shuts out an account, or that address, for which too
//! many have failed; so they are counted here by client, and who fails too often is told so before the registry hears of it.
//!
//! A login under way takes a place among the failures that are borne, and gives it back where it does not fail: many at once fail no oftener
//! than one after the other. Where all places are taken one waits for a while. A credential that was right lately takes none.
//!
//! Nor is it held up by what others failed at, or anybody who fails on purpose would shut an account out. It is only where guessing goes on and
//! on ([`GUESSES`]): each guess that is held up tells that it is not the right one.
//!
//! What takes a place goes on to its end though the client hangs up ([`Trying::put`]), and counts as what came of it: who hangs up has not
//! failed, and has not tried for nothing either. There are never more of these than there are places.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::credential::Credential;

/// In this time failures are counted, from the first on.
const WINDOW: Duration = Duration::from_mins(1);
/// The most that is counted; past it failures are forgotten.
const MOST: usize = 65_536;
/// How many are remembered to have been right.
const MOST_MET: u64 = 100_000;
/// How long, since they last were: a name at an address.
const MET_FOR: Duration = Duration::from_hours(7 * 24);
/// The same of a credential.
const RIGHT_FOR: Duration = Duration::from_hours(1);
/// How many times as many as may fail are held up before a credential that was right lately is held up, too: who guesses that fast would find it
/// out.
const GUESSES: u32 = 10;
/// How long one waits for what comes of others.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long one may ask again who waited in vain.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest name that is told from others by all of it, in bytes.
const MOST_NAME_BYTES: usize = 128;

/// How many failed logins are borne in a minute; 0 for any number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LoginLimits {
    /// Of an account of an upstream: in all, and from one address.
    pub per_account: u32,
    /// From an address, at an upstream.
    pub per_address: u32,
    /// At an upstream, in all.
    pub per_upstream: u32,
}

/// Who says to be whom, to which upstream, from where.
#[derive(Clone, Debug)]
pub struct Login {
    upstream: Arc<str>,
    name: String,
    network: IpAddr,
    credential: Credential,
}

/// What came of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The upstream took it.
    Right,
    /// The upstream did not.
    Wrong,
    /// It was not put to the upstream, or that told nothing of it.
    Unknown,
}

/// What failures are counted of.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Whose {
    Upstream,
    Account(String),
    AccountFrom(String, IpAddr),
    Address(IpAddr),
}

type Key = (Arc<str>, Whose);

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    /// How many were held up since they are too many.
    held_up: u32,
    ends_at: Instant,
    under_way: u32,
}

/// All that failed lately, or may yet.
pub struct Logins(Arc<Inner>);

struct Inner {
    limits: LoginLimits,
    counts: Mutex<HashMap<Key, Count>>,
    /// Wakes those who wait for what comes of others.
    ended: Notify,
    /// Who was right from where: what strangers fail at elsewhere does not count against them.
    met: Cache<(Arc<str>, String, IpAddr), ()>,
    /// The credentials that were right.
    right: Cache<(Arc<str>, Credential), ()>,
}

/// A login under way. Dropped before it has ended it gives its place back and counts for nothing, so who has one puts it to the upstream by
/// [`Self::put`], which ends it.
#[must_use]
pub struct Trying {
    inner: Arc<Inner>,
    login: Login,
    takes_place: bool,
    verdict: Verdict,
}

/// Whether one may try.
enum Taken {
    /// One may; whether that takes a place.
    Yes { takes_place: bool },
    /// Not before others have ended.
    Full,
}

impl Login {
    /// That of a client which shows this; `None` where it is no name and secret. A name that can't be read is the empty one.
    pub fn of(upstream: Arc<str>, shown: &HeaderValue, credential: Credential, address: IpAddr) -> Option<Self> {
        let shown = shown.as_bytes().trim_ascii();
        let end = shown.iter().position(u8::is_ascii_whitespace).unwrap_or(shown.len());
        let (scheme, rest) = shown.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let pair = STANDARD.decode(rest.trim_ascii()).ok().and_then(|pair| String::from_utf8(pair).ok());
        let name = pair.as_deref().and_then(|pair| pair.split_once(':')).map_or("", |(name, _)| name);
        let name = name[..name.floor_char_boundary(MOST_NAME_BYTES)].to_owned();
        Some(Self { upstream, name, network: network(address), credential })
    }

    fn key(&self, whose: Whose) -> Key {
        (self.upstream.clone(), whose)
    }
}

impl Logins {
    /// None yet.
    pub fn new(limits: LoginLimits) -> Self {
        Self(Arc::new(Inner {
            limits,
            counts: Mutex::default(),
            ended: Notify::new(),
            met: Cache::builder().max_capacity(MOST_MET).time_to_idle(MET_FOR).build(),
            right: Cache::builder().max_capacity(MOST_MET).time_to_idle(RIGHT_FOR).build(),
        }))
    }

    /// Begins a login, which is then tried; an error is how long it may not be.
    pub async fn begin(&self, login: Login) -> Result<Trying, Duration> {
        let takes_place = tokio::time::timeout(PATIENCE, self.0.place(&login)).await.unwrap_or(Err(AGAIN))?;
        Ok(Trying { inner: self.0.clone(), login, takes_place, verdict: Verdict::Unknown })
    }
}

impl Trying {
    /// Has it put to the upstream by some work, and takes in what came of that. Where it takes a place the work is a task of its own, which
    /// goes on though nobody waits for it any more.
    pub async fn put<T, W>(self, tasks: &TaskTracker, work: W, verdict: impl FnOnce(&T) -> Verdict + Send + 'static) -> T
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let takes_place = self.takes_place;
        let whole = async move {
            let done = work.await;
            self.end(verdict(&done));
            done
        };
        if !takes_place {
            return whole.await;
        }
        match tasks.spawn(whole.in_current_span()).await {
            Ok(done) => done,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            // The runtime is going down, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes in what came of it.
    pub fn end(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        self.inner.end(&self.login, self.takes_place, self.verdict, Instant::now());
        self.inner.ended.notify_waiters();
    }
}

impl Inner {
    /// Waits until the login may be tried; whether it takes a place.
    async fn place(&self, login: &Login) -> Result<bool, Duration> {
        loop {
            // Before it is looked: what ends in between wakes it too.
            let ended = self.ended.notified();
            match self.take(login, Instant::now())? {
                Taken::Yes { takes_place } => return Ok(takes_place),
                Taken::Full => ended.await,
            }
        }
    }

    fn take(&self, login: &Login, now: Instant) -> Result<Taken, Duration> {
        let is_met = self.met.contains_key(&(login.upstream.clone(), login.name.clone(), login.network));
        let is_right = self.right.contains_key(&(login.upstream.clone(), login.credential));
        let mut counts = self.lock();
        let (mut wait, mut is_full) = (None, false);
        for (key, most) in self.keys(login) {
            let is_of_strangers = matches!(key.1, Whose::Upstream | Whose::Account(_));
            let Some(count) = counts.get_mut(&key).filter(|_| !(is_met && is_of_strangers)) else { continue };
            let failures = count.failures_at(now);
            let is_borne = is_right && count.held_up < most.saturating_mul(GUESSES);
            if failures >= most && !is_borne {
                count.held_up = count.held_up.saturating_add(1);
                wait = wait.max(Some(count.ends_at.saturating_duration_since(now)));
            }
            is_full |= failures.saturating_add(count.under_way) >= most;
        }
        if let Some(wait) = wait {
            // Rounded up: who waits as long as it is told must find it over.
            return Err(Duration::from_secs(wait.as_secs() + 1));
        }
        if is_right || self.keys(login).next().is_none() {
            return Ok(Taken::Yes { takes_place: false });
        }
        if is_full {
            return Ok(Taken::Full);
        }
        for (key, _) in self.keys(login) {
            Self::count(&mut counts, key, now).under_way += 1;
        }
        Ok(Taken::Yes { takes_place: true })
    }

    fn end(&self, login: &Login, took_place: bool, verdict: Verdict, now: Instant) {
        let credential = (login.upstream.clone(), login.credential);
        match verdict {
            Verdict::Right => {
                self.met.insert((login.upstream.clone(), login.name.clone(), login.network), ());
                self.right.insert(credential, ());
            }
            Verdict::Wrong => self.right.invalidate(&credential),
            Verdict::Unknown => {}
        }
        let mut counts = self.lock();
        for (key, _) in self.keys(login) {
            let count = Self::count(&mut counts, key.clone(), now);
            count.under_way = count.under_way.saturating_sub(u32::from(took_place));
            if verdict == Verdict::Wrong {
                if count.failures_at(now) == 0 {
                    (count.failures, count.held_up, count.ends_at) = (0, 0, now + WINDOW);
                }
                count.failures = count.failures.saturating_add(1);
            }
            if !count.counts(now) {
                counts.remove(&key);
            }
        }
    }

    /// A count, made where there is none. No more are under way than requests are.
    fn count(counts: &mut HashMap<Key, Count>, key: Key, now: Instant) -> &mut Count {
        if counts.len() >= MOST && !counts.contains_key(&key) {
            counts.retain(|_, count| count.counts(now));
            if counts.len() >= MOST {
                counts.retain(|_, count| count.under_way > 0);
            }
        }
        counts.entry(key).or_insert(Count { failures: 0, held_up: 0, ends_at: now, under_way: 0 })
    }

    /// What a failure counts against, and how many of each are borne; none of what is not limited.
    fn keys(&self, login: &Login) -> impl Iterator<Item = (Key, u32)> + use<> {
        let LoginLimits { per_account, per_address, per_upstream } = self.limits;
        let all = [
            (login.key(Whose::Upstream), per_upstream),
            (login.key(Whose::Account(login.name.clone())), per_account),
            (login.key(Whose::AccountFrom(login.name.clone(), login.network)), per_account),
            (login.key(Whose::Address(login.network)), per_address),
        ];
        all.into_iter().filter(|(_, most)| *most > 0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn failures_at(&self, now: Instant) -> u32 {
        if self.ends_at > now { self.failures } else { 0 }
    }

    /// Whether it says anything.
    fn counts(&self, now: Instant) -> bool {
        self.under_way > 0 || self.failures_at(now) > 0
    }
}

/// What one caller can hardly have many of: an address, or where these are plenty, 64 bits of one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests;
