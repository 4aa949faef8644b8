use super::*;
use crate::grants::credential::CredentialKey;

const LIMITS: LoginLimits = LoginLimits { per_account: 2, per_address: 3, per_upstream: 5 };

/// Clients of one edge.
struct Bed {
    logins: Logins,
    key: CredentialKey,
}

impl Bed {
    fn new(limits: LoginLimits) -> Self {
        Self { logins: Logins::new(limits), key: CredentialKey::generate() }
    }

    fn login(&self, name: &str, secret: &str, from: u8) -> Login {
        let shown = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")))).unwrap();
        let address = IpAddr::from([10, 0, 0, from]);
        Login::of("up http://up".into(), &shown, self.key.hash(&shown), address).unwrap()
    }

    /// How long a login may not be tried; what comes of it where it may.
    async fn tries(&self, login: Login, verdict: Verdict) -> Option<Duration> {
        match self.logins.begin(login).await {
            Ok(trying) => {
                trying.end(verdict);
                None
            }
            Err(wait) => Some(wait),
        }
    }

    /// The failures from an address, and how many are under way.
    fn counted_from(&self, from: u8) -> (u32, u32) {
        let key = ("up http://up".into(), Whose::Address([10, 0, 0, from].into()));
        self.logins.0.lock().get(&key).map_or((0, 0), |count| (count.failures, count.under_way))
    }

    async fn fails(&self, name: &str, from: u8) -> bool {
        self.tries(self.login(name, "a guess", from), Verdict::Wrong).await.is_none()
    }

    async fn is_let_try(&self, name: &str, from: u8) -> bool {
        self.tries(self.login(name, "right", from), Verdict::Unknown).await.is_none()
    }
}

#[tokio::test]
async fn who_fails_too_often_is_told_so() {
    let bed = Bed::new(LIMITS);
    assert!(bed.fails("alice", 1).await && bed.fails("alice", 1).await);
    let wait = bed.tries(bed.login("alice", "another guess", 1), Verdict::Wrong).await.unwrap();
    assert!(wait > Duration::from_secs(58) && wait <= WINDOW + Duration::from_secs(1), "{wait:?}");
    assert!(!bed.is_let_try("alice", 2).await, "whoever tries the account");
    assert!(bed.fails("bob", 1).await, "another account");
    assert!(!bed.is_let_try("carol", 1).await, "whatever this address tries");
    assert!(bed.fails("carol", 2).await && bed.fails("dave", 2).await);
    assert!(!bed.is_let_try("erin", 3).await, "as many as the upstream is to see");
    let unlimited = Bed::new(LoginLimits::default());
    for _ in 0..100 {
        assert!(unlimited.fails("alice", 1).await);
    }
}

#[tokio::test]
async fn what_strangers_fail_at_shuts_nobody_out_who_was_right_from_there() {
    let bed = Bed::new(LIMITS);
    for (name, from) in [("alice", 1), ("bob", 2)] {
        assert_eq!(bed.tries(bed.login(name, "right", from), Verdict::Right).await, None);
    }
    for (name, from) in [("alice", 7), ("alice", 8), ("carol", 7), ("dave", 8), ("erin", 9)] {
        assert!(bed.fails(name, from).await);
    }
    assert!(bed.is_let_try("alice", 1).await && bed.is_let_try("bob", 2).await);
    assert!(!bed.fails("alice", 7).await && !bed.is_let_try("frank", 3).await);
}

#[tokio::test]
async fn what_others_fail_at_holds_up_no_credential_that_was_right_lately() {
    let bed = Bed::new(LIMITS);
    assert_eq!(bed.tries(bed.login("alice", "right", 1), Verdict::Right).await, None);
    assert!(bed.fails("alice", 1).await && bed.fails("alice", 1).await);
    for _ in 0..5 {
        assert!(!bed.fails("alice", 1).await && !bed.fails("alice", 2).await, "a wrong one is held up");
        assert!(bed.is_let_try("alice", 1).await && bed.is_let_try("alice", 2).await);
    }
    // It was changed.
    assert_eq!(bed.tries(bed.login("alice", "right", 1), Verdict::Wrong).await, None);
    assert!(!bed.is_let_try("alice", 1).await);
}

#[tokio::test]
async fn who_guesses_on_and_on_does_not_find_out_which_is_right() {
    for from in [1, 2] {
        let bed = Bed::new(LIMITS);
        assert_eq!(bed.tries(bed.login("alice", "right", 1), Verdict::Right).await, None);
        assert!(bed.fails("alice", from).await && bed.fails("alice", from).await);
        for _ in 0..LIMITS.per_account * GUESSES {
            assert!(!bed.fails("alice", from).await);
        }
        assert!(!bed.is_let_try("alice", from).await);
        assert_eq!(bed.is_let_try("alice", 1).await, from != 1, "elsewhere, where it was right");
    }
}

#[tokio::test]
async fn a_right_login_does_not_count() {
    let bed = Bed::new(LIMITS);
    for verdict in [Verdict::Right, Verdict::Unknown] {
        for _ in 0..20 {
            assert_eq!(bed.tries(bed.login("alice", "right", 1), verdict).await, None);
        }
    }
    assert!(bed.logins.0.lock().is_empty(), "nothing is kept of them");
    // It was withdrawn.
    for _ in 0..2 {
        assert_eq!(bed.tries(bed.login("alice", "right", 1), Verdict::Wrong).await, None);
    }
    assert!(!bed.is_let_try("alice", 1).await);
}

#[tokio::test]
async fn many_at_once_fail_no_oftener_than_one_after_the_other() {
    let bed = Bed::new(LIMITS);
    let first = bed.logins.begin(bed.login("alice", "1", 1)).await.ok().unwrap();
    let second = bed.logins.begin(bed.login("alice", "2", 1)).await.ok().unwrap();
    assert!(matches!(bed.logins.0.take(&bed.login("alice", "3", 1), Instant::now()), Ok(Taken::Full)));
    let third = bed.tries(bed.login("alice", "3", 1), Verdict::Unknown);
    let (third, ()) = tokio::join!(third, async { first.end(Verdict::Right) });
    assert_eq!(third, None, "a place became free");
    drop(second);
    assert!(bed.fails("alice", 2).await && bed.fails("alice", 2).await, "what nobody knows the end of counts for nothing");
    assert!(!bed.is_let_try("alice", 2).await);
    let (one, other) = (bed.login("alice", "1", 1), bed.login("alice", "1", 1));
    let both = [bed.logins.begin(one).await.is_ok(), bed.logins.begin(other).await.is_ok()];
    assert_eq!(both, [true, true], "what is known to be right takes no place, and counts for nothing when it is dropped");
    assert_eq!(bed.counted_from(1), (0, 0));
}

#[tokio::test]
async fn who_hangs_up_is_counted_by_what_came_of_it() {
    let (bed, tasks) = (Bed::new(LIMITS), TaskTracker::new());
    for (secret, verdict, failures) in [("1", Verdict::Unknown, 0), ("2", Verdict::Wrong, 1), ("3", Verdict::Right, 1)] {
        let (answer, answered) = tokio::sync::oneshot::channel::<Verdict>();
        let trying = bed.logins.begin(bed.login("alice", secret, 1)).await.ok().unwrap();
        let put = trying.put(&tasks, answered, |answered| *answered.as_ref().unwrap());
        assert!(tokio::time::timeout(Duration::ZERO, put).await.is_err(), "the client hangs up");
        assert_eq!(bed.counted_from(1).1, 1, "the upstream may yet answer");
        answer.send(verdict).unwrap();
        tasks.close();
        tasks.wait().await;
        assert_eq!(bed.counted_from(1), (failures, 0), "{verdict:?}");
    }
    let stays = bed.logins.begin(bed.login("alice", "4", 1)).await.ok().unwrap();
    assert_eq!(stays.put(&tasks, async { 7 }, |_| Verdict::Wrong).await, 7);
    assert!(!bed.is_let_try("alice", 1).await);
}

#[tokio::test]
async fn failures_are_over_after_their_time() {
    let (bed, now) = (Bed::new(LIMITS), Instant::now());
    let login = bed.login("alice", "a guess", 1);
    let inner = &bed.logins.0;
    for _ in 0..2 {
        assert!(inner.take(&login, now).is_ok());
        inner.end(&login, true, Verdict::Wrong, now);
    }
    let wait = inner.take(&login, now).err().unwrap();
    assert!(inner.take(&login, now + wait).is_ok());
    inner.end(&login, true, Verdict::Wrong, now + wait);
    assert!(inner.take(&login, now + wait).is_ok(), "counted anew");
}

#[test]
fn what_is_counted_is_bounded() {
    let bed = Bed::new(LoginLimits { per_account: 4, ..LoginLimits::default() });
    let now = Instant::now();
    for number in 0..40_000 {
        bed.logins.0.end(&bed.login(&format!("{number}{}", "é".repeat(200)), "", 1), false, Verdict::Wrong, now);
    }
    let counts = bed.logins.0.lock();
    assert!(counts.len() <= MOST);
    let is_short = |whose: &Whose| !matches!(whose, Whose::Account(name) if name.len() > MOST_NAME_BYTES);
    assert!(counts.keys().all(|(_, whose)| is_short(whose)));
}

#[test]
fn a_login_is_a_name_and_a_secret() {
    let key = CredentialKey::generate();
    let login = |shown: &str, address: &str| {
        let shown = HeaderValue::from_str(shown).unwrap();
        Login::of("up".into(), &shown, key.hash(&shown), address.parse().unwrap())
    };
    let name = |shown: &str| login(shown, "10.0.0.1").map(|login| login.name);
    assert_eq!(name("Basic YTpi").as_deref(), Some("a"));
    assert_eq!(name(" bAsIc   YTpiOmM= ").as_deref(), Some("a"));
    for unreadable in ["Basic", "Basic ?", "Basic YQ==", "basic\tYTpi x"] {
        assert_eq!(name(unreadable).as_deref(), Some(""), "{unreadable:?}");
    }
    for other in ["Bearer YTpi", "Basics YTpi", ""] {
        assert_eq!(name(other), None, "{other:?}");
    }
    let network = |address| login("Basic YTpi", address).unwrap().network;
    assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
    assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
}
