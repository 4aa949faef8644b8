use longshore_oci::Algorithm;

use super::{live::MOST_SHOWN_BLOBS, *};
use crate::supply::Supplier;

fn operation(images: &[&str]) -> Operation {
    let images = images.iter().map(|&image| image.to_owned()).collect();
    let wish = Wish { images, platforms: vec!["linux/amd64".parse().unwrap()], pin: None, deadline: None };
    Operation::new(wish, Timestamp::UNIX_EPOCH, &CancellationToken::new())
}

fn digest(number: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[number])
}

#[test]
fn what_images_share_counts_once_in_all() {
    let operation = operation(&["a", "b"]);
    assert!(operation.id().starts_with("op_"));
    let (base, own) = (Fetched::nothing_of(3 << 20), Fetched::nothing_of(5));
    operation.resolved(0, Some(digest(9)), vec![(digest(0), base), (digest(1), own)]);
    operation.resolved(1, None, vec![(digest(0), base)]);
    operation.fetched(&digest(0), Fetched::all_of(3 << 20));
    operation.fetched(&digest(7), Fetched::all_of(1));
    let view = operation.view();
    assert_eq!(view.progress, Progress { bytes_done: 3 << 20, bytes_total: (3 << 20) + 5, pieces_done: 3, pieces_total: 4 });
    assert_eq!(view.images[1].progress.bytes_done, 3 << 20);
    assert_eq!(view.images[0].progress.pieces_total, 4);
    let json = serde_json::to_value(&*view).unwrap();
    assert_eq!((&json["state"], &json["piecesDone"], &json["kind"]), (&"running".into(), &3.into(), &"prewarm".into()));
    assert_eq!(json["images"][0]["bytesTotal"], (3 << 20) + 5);
    assert_eq!(json["createdAt"], "1970-01-01T00:00:00Z");
    assert!(json.get("error").is_none() && json.get("progress").is_none());
}

#[test]
fn what_came_is_told_by_who_sent_it() {
    let operation = operation(&["a", "b"]);
    let half = Fetched { bytes: 4, ..Fetched::nothing_of(9) };
    operation.resolved(0, None, vec![(digest(0), half), (digest(1), Fetched::nothing_of(5))]);
    operation.supplied(&digest(0), Supplied::of(Supplier::Registry, 4));
    operation.supplied(&digest(1), Supplied::default());
    operation.supplied(&digest(0), Supplied::of(Supplier::Registry, 4).plus(Supplied::of(Supplier::Neighbours, 5)));
    operation.fetched(&digest(0), Fetched::all_of(9));
    operation.resolved(1, None, vec![(digest(0), Fetched::all_of(9))]);
    operation.supplied(&digest(1), Supplied::of(Supplier::Edge, 2));
    operation.supplied(&digest(7), Supplied::of(Supplier::Edge, 2));
    let view = operation.view();
    let blobs: Vec<_> = view.blobs.iter().map(|blob| (blob.bytes_done, blob.here_bytes, blob.supplied)).collect();
    assert_eq!(blobs, [(9, 4, Supplied::of(Supplier::Neighbours, 5)), (0, 0, Supplied::of(Supplier::Edge, 2))]);
    let json = serde_json::to_value(&*view).unwrap();
    let told =
        |json: &serde_json::Value| ["hereBytes", "neighbourBytes", "edgeBytes", "registryBytes"].map(|of| json[of].as_u64());
    assert_eq!(told(&json), [Some(4), Some(5), Some(2), Some(0)]);
    assert_eq!(told(&json["blobs"][0]), [Some(4), Some(5), Some(0), Some(0)]);
    operation.supplied(&digest(0), Supplied::of(Supplier::Edge, 1));
    assert_eq!(operation.view().blobs[0].supplied, Supplied::of(Supplier::Edge, 1), "it was dropped, and comes anew");
}

#[test]
fn of_many_blobs_the_first_are_told_one_by_one() {
    let operation = operation(&["a"]);
    let found = (0..=255).map(|number| (digest(number), Fetched::all_of(1)));
    let more = (0..=9).map(|number| (Digest::of(Algorithm::Sha256, &[number, 0]), Fetched::all_of(1)));
    operation.resolved(0, None, found.chain(more).collect());
    let view = operation.view();
    assert_eq!((view.blobs.len(), view.progress.bytes_total), (MOST_SHOWN_BLOBS, 266));
}

#[test]
fn why_an_image_waits_is_told_until_it_goes_on_and_after_the_deadline() {
    let now = Timestamp::UNIX_EPOCH;
    let begun = || {
        let operation = operation(&["a", "b"]);
        operation.resolved(1, None, vec![]);
        operation.waits(1, "nobody listens".to_owned());
        operation
    };
    let error = |operation: &Operation| operation.view().images[1].error.clone();
    let one = begun();
    assert_eq!((error(&one).as_deref(), one.view().images[1].state), (Some("nobody listens"), State::Running));
    one.goes_on(1);
    assert_eq!(error(&one), None);
    one.ended(Some(Stop::Deadline), now);
    assert_eq!(error(&one).as_deref(), Some("nobody listens"));
    let told = one.view().error.clone().unwrap();
    assert!(told.contains("deadline") && told.ends_with("b last waited for its upstream: nobody listens"), "{told}");
    let two = begun();
    two.ended(Some(Stop::Cancelled), now);
    assert_eq!((error(&two), two.view().images[1].state), (None, State::Cancelled));
    let three = begun();
    three.goes_on(1);
    three.image_ended(1, Ok(()));
    three.ended(Some(Stop::Deadline), now);
    let view = three.view();
    assert_eq!((error(&three), view.error.as_deref()), (None, Some("its deadline passed before all of it was here")));
}

#[test]
fn it_is_done_when_all_images_are() {
    let now = Timestamp::UNIX_EPOCH;
    let one = operation(&["a", "b"]);
    one.image_ended(0, Ok(()));
    one.image_ended(1, Ok(()));
    assert_eq!((one.ended(None, now), one.is_over()), (State::Done, true));
    let two = operation(&["a", "b"]);
    two.image_ended(0, Err("no such image".to_owned()));
    two.image_ended(1, Ok(()));
    assert_eq!(two.ended(None, now), State::Failed);
    let view = two.view();
    assert_eq!((view.images[0].error.as_deref(), view.images[1].state), (Some("no such image"), State::Done));
    let three = operation(&["a", "b"]);
    three.image_ended(0, Ok(()));
    assert_eq!(three.ended(Some(Stop::Cancelled), now), State::Cancelled);
    assert_eq!((three.view().images[0].state, three.view().images[1].state), (State::Done, State::Cancelled));
    let four = operation(&["a"]);
    assert_eq!(four.ended(Some(Stop::Deadline), now), State::Failed);
    assert!(four.view().error.as_ref().unwrap().contains("deadline"));
    four.fetched(&digest(0), Fetched::all_of(1));
    four.image_ended(0, Ok(()));
    assert_eq!(four.view().state, State::Failed, "what is over stays as it is");
}
