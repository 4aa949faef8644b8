/// So many of something, in words: `1 pod`, `3 pods`.
pub fn counted(count: impl TryInto<usize>, noun: &str) -> String {
    match count.try_into().unwrap_or(usize::MAX) {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([counted(0_u32, "pod"), counted(1_u32, "pod"), counted(2_usize, "node")], ["0 pods", "1 pod", "2 nodes"]);
    }
}
