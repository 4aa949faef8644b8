//! A stream of changes: however it is cut, it has the same events, and none is longer than it may be. The first byte is how often the
//! rest is repeated, the next three are the lengths of its chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_edge_cache::events::stream::{Event, MOST_BYTES, Parser, TooLong};

/// The most that a byte which is no text becomes when it is read as text.
const REPLACED_BYTES: usize = 3;

/// What was read of a stream before it ended, or had to.
struct Read {
    events: Vec<Event>,
    end: Result<Option<String>, TooLong>,
}

fuzz_target!(|input: &[u8]| {
    let Some((&[repeats, first, second, third], text)) = input.split_first_chunk() else { return };
    let text = text.repeat(1 + usize::from(repeats) % 64);
    let expected = read(&text, &[1]);
    for event in &expected.events {
        assert!(event.data.len() <= MOST_BYTES && event.name.len() <= REPLACED_BYTES * MOST_BYTES);
    }
    let told: usize = expected.events.iter().map(|event| event.name.len() + event.data.len()).sum();
    assert!(told <= REPLACED_BYTES * text.len(), "{told} bytes were made of {}", text.len());
    for lengths in [&[text.len().max(1)][..], &[first, second, third].map(|length| 1 + usize::from(length))] {
        let cut = read(&text, lengths);
        assert_eq!(cut.end, expected.end);
        // The chunk in which the stream has to end has no events.
        let count = if cut.end.is_ok() { expected.events.len() } else { cut.events.len() };
        assert_eq!(Some(cut.events.as_slice()), expected.events.get(..count));
    }
});

/// Reads a stream in chunks of these lengths, in turn.
fn read(mut text: &[u8], lengths: &[usize]) -> Read {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    for length in lengths.iter().cycle() {
        if text.is_empty() {
            break;
        }
        let (chunk, rest) = text.split_at(text.len().min(*length));
        match parser.read(chunk) {
            Ok(read) => events.extend(read),
            Err(error) => return Read { events, end: Err(error) },
        }
        text = rest;
    }
    Read { events, end: Ok(parser.last_id().map(str::to_owned)) }
}
