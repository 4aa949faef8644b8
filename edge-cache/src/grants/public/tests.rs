use longshore_oci::Algorithm;

use super::*;

const LIMIT: Duration = Duration::from_hours(20);

fn public() -> Public {
    Public::new(None, 100, LIMIT, Now::read()).unwrap()
}

fn place() -> Place {
    Place { upstream: "a http://a".into(), repository: "team/app".parse().unwrap() }
}

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn later(now: Now, by: Duration) -> Now {
    Now { at: now.at + by, time: now.time + by }
}

#[test]
fn what_was_seen_is_read_as_it_was_written() {
    let [at, since] = [2_000, 1_000].map(|second| Timestamp::from_second(second).unwrap());
    for manifest in [None, Some(digest("1"))] {
        for until in [None, Some(at)] {
            let (key, seen) = ((place(), manifest.clone()), Seen { at, since, until });
            assert_eq!(read(&write(&key, seen)), Some((key, seen)));
        }
    }
    // As it was written before verdicts had an end.
    let (key, seen) = ((place(), Some(digest("1"))), Seen { at, since, until: None });
    let mut written: serde_json::Value = serde_json::from_slice(&write(&key, seen)).unwrap();
    written.as_object_mut().unwrap().remove("until").unwrap();
    assert_eq!(read(written.to_string().as_bytes()), Some((key, seen)));
    assert_ne!(name(&(place(), None)), name(&(place(), Some(digest("1")))));
    assert_eq!(read(b"{}"), None);
}

#[test]
fn a_manifest_is_had_through_its_repository() {
    let (public, place, now) = (public(), place(), Now::read());
    let holds = |manifest: &str| public.holds(&place, Some(&digest(manifest)), None, now);
    public.add(&place, Some(&digest("1")), None, None, now);
    assert!(holds("1") && !holds("2") && public.holds(&place, None, None, now));
    // Asked for before, and answered after.
    public.add(&place, Some(&digest("2")), None, None, Now { time: now.time - Duration::from_secs(1), ..now });
    assert!(holds("1") && holds("2"));
    public.remove(&place, None);
    assert!(!holds("1") && !public.holds(&place, None, None, now));
    let now = later(now, Duration::from_secs(1));
    let holds = |manifest: &str| public.holds(&place, Some(&digest(manifest)), None, now);
    public.add(&place, Some(&digest("2")), None, None, now);
    assert!(!holds("1") && holds("2"));
}

#[test]
fn what_is_from_before_a_reset_does_not_count() {
    let (public, place, now) = (public(), place(), Now::read());
    let (one, reset) = (digest("1"), Some(later(now, Duration::from_secs(1)).time));
    public.add(&place, Some(&one), None, None, now);
    let now = later(now, Duration::from_secs(2));
    assert!(public.holds(&place, Some(&one), None, now) && !public.holds(&place, Some(&one), reset, now));
    public.add(&place, None, None, reset, now);
    assert!(public.holds(&place, None, reset, now) && !public.holds(&place, Some(&one), reset, now));
    public.add(&place, Some(&one), None, reset, now);
    assert!(public.holds(&place, Some(&one), reset, now));
}

#[test]
fn what_is_seen_often_is_written_down_now_and_then() {
    let (public, place, now) = (public(), place(), Now::read());
    let add = |by| {
        public.add(&place, None, None, None, later(now, by));
        Duration::try_from(public.known.get(&(place.clone(), None)).unwrap().at.duration_since(now.time)).unwrap()
    };
    let minutes = [0, 1, 59, 60, 61].map(|minute| add(Duration::from_mins(minute)).as_secs() / 60);
    assert_eq!(minutes, [0, 0, 0, 60, 60]);
}

#[test]
fn a_manifest_is_not_had_past_its_end() {
    let (public, place, one, now) = (public(), place(), digest("1"), Now::read());
    let at = |seconds| later(now, Duration::from_secs(seconds));
    let until = |seconds| Some(at(seconds).time);
    let add = |until, asked_at| public.add(&place, Some(&one), until, None, asked_at);
    let holds = |seconds| {
        assert!(public.holds(&place, None, None, at(seconds)), "that is about the manifest alone");
        public.holds(&place, Some(&one), None, at(seconds))
    };
    let is_written_at = |asked_at: Now| public.known.get(&(place.clone(), Some(one.clone()))).unwrap().at == asked_at.time;
    public.add(&place, None, None, None, now);
    add(until(60), at(1));
    assert!(holds(59) && !holds(60) && is_written_at(at(1)));
    add(until(90), at(2));
    assert!(holds(89) && !holds(90) && is_written_at(at(1)), "it counts, and is not written down again so soon");
    add(until(80), at(3));
    assert!(holds(79) && !holds(80) && is_written_at(at(3)), "it is over earlier");
    add(None, at(4));
    assert!(holds(90) && is_written_at(at(3)));
    add(until(90), at(5));
    assert!(holds(89) && !holds(90) && is_written_at(at(5)));
    let hour = 3600;
    add(until(2 * hour), at(hour + 5));
    assert!(holds(hour + 6) && is_written_at(at(hour + 5)), "it is time");
}

#[test]
fn what_is_never_believed_is_not_noted() {
    let public = Public::new(None, 100, Duration::ZERO, Now::read()).unwrap();
    public.add(&place(), Some(&digest("1")), None, None, Now::read());
    assert!(public.known.iter().next().is_none());
}
