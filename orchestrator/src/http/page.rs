//! Lists in parts: `?limit=&after=`.

use std::{fmt::Display, str::FromStr};

use longshore_fleet::api::Page;

use super::query::Parameters;
use crate::state::Slice;

/// How many entries a page has where the caller does not say.
const USUAL: u32 = 100;

/// How many entries a caller wants: so many where it does not say, and never more than a most.
pub fn limit(parameters: &mut Parameters<'_>, usual: u32, most: u32) -> u32 {
    let limit = parameters.optional::<u32>("limit").unwrap_or(usual);
    if limit == 0 {
        parameters.fault("limit", "must be at least 1");
    }
    limit.clamp(1, most)
}

/// The part of a list that a caller wants, with one more, by which it is seen whether more follows.
pub fn slice<K: FromStr<Err: Display>>(parameters: &mut Parameters<'_>, most: u32) -> Slice<K> {
    let most = limit(parameters, USUAL, most) + 1;
    Slice { after: parameters.optional("after"), most }
}

/// A page of what was read for a slice, by the key of its entries.
pub fn page<T, K>(mut items: Vec<T>, slice: &Slice<K>, key: impl Fn(&T) -> String, position: u64) -> Page<T> {
    let most = slice.most as usize - 1;
    let has_more = items.len() > most;
    items.truncate(most);
    let next = if has_more { items.last().map(key) } else { None };
    Page { items, next, position }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_limit_and_too_much_is_the_most() {
        let asked = |query: &str| {
            let mut parameters = Parameters::new(query, &["limit"]);
            let limit = limit(&mut parameters, 7, 20);
            parameters.done(limit).ok()
        };
        assert_eq!(["", "limit=0", "limit=3", "limit=99"].map(asked), [Some(7), None, Some(3), Some(20)]);
    }

    #[test]
    fn the_last_page_says_that_it_is() {
        let slice = Slice::<u64> { after: None, most: 4 };
        let key = |item: &u64| item.to_string();
        assert_eq!(page(vec![1, 2, 3, 4], &slice, key, 9).next.as_deref(), Some("3"));
        let last = page(vec![1, 2, 3], &slice, key, 9);
        assert_eq!((last.next, last.items, last.position), (None, vec![1, 2, 3], 9));
    }
}
