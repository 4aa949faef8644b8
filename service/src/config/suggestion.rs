//! The known name that a misspelt one most likely meant.

/// Below this similarity, from 0 to 1, a suggestion puzzles more than it helps.
const SIMILAR_ENOUGH: f64 = 0.8;

/// The candidate closest to `name` by Jaro-Winkler similarity, or `None` when none is close.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_the_misspelt_name_and_only_then() {
        let names = ["bucket", "prefix", "part_size"];
        assert_eq!(closest("bukcet", names), Some("bucket"));
        assert_eq!(closest("part-size", names), Some("part_size"));
        assert_eq!(closest("zebra", names), None);
    }
}
