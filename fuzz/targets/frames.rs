//! Frames of the swarm: what bytes are read as is written as these bytes, but for what a later version has added to a greeting, and no
//! frame is longer than its kind may be. The input is read once as frames one after another, and once as the body of a single one, whose
//! kind is the first byte.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use longshore_p2p::wire::{BLOCK_BYTES, BlockHead, Frame, HEAD_BYTES, Head, Kind};

fuzz_target!(|input: &[u8]| {
    check_stream(input);
    if let Some((&kind, body)) = input.split_first() {
        let length = u32::try_from(body.len()).expect("no input is that long").to_le_bytes();
        check_stream(&[length.as_slice(), &[kind], body].concat());
    }
});

fn check_stream(mut stream: &[u8]) {
    while let Some((head, rest)) = stream.split_first_chunk::<HEAD_BYTES>() {
        let Ok(read) = Head::decode(*head) else { return };
        let (Head::Known { body_bytes, .. } | Head::Skipped { body_bytes }) = read;
        let Some((body, rest)) = rest.split_at_checked(body_bytes) else { return };
        match read {
            Head::Known { kind: Kind::Block, .. } => check_block(head, body),
            Head::Known { kind, .. } => check_frame(kind, head, body),
            Head::Skipped { .. } => assert!(Kind::ALL.iter().all(|kind| *kind as u8 != head[HEAD_BYTES - 1])),
        }
        stream = rest;
    }
}

fn check_block(head: &[u8], body: &[u8]) {
    let Some((numbers, bytes)) = body.split_first_chunk() else { return };
    let Ok(block) = BlockHead::decode(*numbers, body.len()) else { return };
    assert_eq!(usize::try_from(block.length_bytes), Ok(bytes.len()));
    assert!((1..=BLOCK_BYTES).contains(&bytes.len()));
    assert_eq!(block.encode().expect("what was read can be said"), [head, numbers].concat().as_slice());
}

fn check_frame(kind: Kind, head: &[u8], body: &[u8]) {
    assert!(body.len() <= kind.most_bytes());
    let frame = Frame::decode(kind, body);
    assert_eq!(Frame::decode_shared(kind, &Bytes::copy_from_slice(body)), frame);
    let Ok(frame) = frame else { return };
    assert_eq!(frame.kind(), kind);
    let mut written = Vec::new();
    let tail = frame.encode(&mut written).expect("what was read can be said");
    written.extend_from_slice(&tail.unwrap_or_default());
    let (_, again) = written.split_at(HEAD_BYTES);
    let is_same = if kind == Kind::Hello { body.starts_with(again) } else { written == [head, body].concat() };
    assert!(is_same, "{frame:?} was written as other bytes");
}
