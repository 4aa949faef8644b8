use std::ops::Range;

use longshore_oci::RangeRequest;

/// Which bytes of content of this length a `Range` header asks for; `None` where it asks for none of them, or is to be ignored.
pub(crate) fn asked_bytes(range: &str, size_bytes: usize) -> Option<Range<usize>> {
    let RangeRequest::Part(part) = RangeRequest::parse(range) else { return None };
    let Range { start, end } = part.of(size_bytes as u64)?;
    let place = |at| usize::try_from(at).expect("it is within what is in memory");
    Some(place(start)..place(end))
}
