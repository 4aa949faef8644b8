/// Whether the long variants were asked for, by `LONGSHORE_SOAK=1`.
pub fn is_soak() -> bool {
    std::env::var_os("LONGSHORE_SOAK").is_some_and(|value| value != "0" && !value.is_empty())
}

/// How often to do something: `usual` times in a test run, `soak` times in a soak run.
pub fn scaled(usual: usize, soak: usize) -> usize {
    if is_soak() { soak } else { usual }
}
