//! Ranges: what `Range` and `Content-Range` say never leads outside of the content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_oci::{ByteRange, ContentRange, RangeRequest, SentRange};

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    check_request(text, size);
    check_request(&format!("bytes={text}"), size);
    check_chunk(text);
    check_sent(&format!("bytes {text}"));
});

fn check_request(header: &str, size: u64) {
    let RangeRequest::Part(range) = RangeRequest::parse(header) else { return };
    if let Some(bytes) = range.of(size) {
        assert!(bytes.start < bytes.end && bytes.end <= size, "{header:?} of {size} gave {bytes:?}");
    }
    assert_eq!(range.of(0), None, "nothing is a part of nothing");
    if let ByteRange::Between(first, last) = range {
        assert!(first <= last);
        assert_eq!(range.of(size).is_some(), first < size);
    }
    let written = range.to_string();
    assert_eq!(RangeRequest::parse(&written), RangeRequest::Part(range), "{header:?} was written as {written:?}");
}

fn check_chunk(text: &str) {
    let Ok(range) = text.parse::<ContentRange>() else { return };
    assert!(range.first <= range.last && range.length() >= 1);
    assert_eq!(range.length() - 1, (range.last - range.first).min(u64::MAX - 1));
    assert_eq!(range.to_string().parse(), Ok(range));
    assert_eq!(format!("bytes {range}/*").parse(), Ok(range), "the habitual form means the same");
}

fn check_sent(header: &str) {
    let Ok(sent) = header.parse::<SentRange>() else { return };
    assert!(!sent.bytes.is_empty() && sent.size_bytes.is_none_or(|size| sent.bytes.end <= size), "{header:?} gave {sent:?}");
    assert_eq!(sent.to_string().parse(), Ok(sent));
}
