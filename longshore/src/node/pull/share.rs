//! From whom bytes came, in parts of a hundred.

use longshore_client::SuppliedBytes;

/// `neighbours 97%  edge 0%  registry 3%`, with `containerd 20%` where some of it was in its store, and `here 20%` where some of it was there before; `here already` where all of it was.
pub fn of(here_bytes: u64, supplied: SuppliedBytes) -> String {
    let all = here_bytes.saturating_add(supplied.sum());
    if supplied.sum() == 0 {
        return if here_bytes == 0 { "nothing came yet".to_owned() } else { "here already".to_owned() };
    }
    let part = |name: &str, bytes: u64| format!("{name} {}", percentage(bytes, all));
    let mut parts = vec![
        part("neighbours", supplied.neighbour_bytes),
        part("edge", supplied.edge_bytes),
        part("registry", supplied.registry_bytes),
    ];
    if supplied.machine_bytes > 0 {
        parts.push(part("containerd", supplied.machine_bytes));
    }
    if here_bytes > 0 {
        parts.push(part("here", here_bytes));
    }
    parts.join("  ")
}

/// To the nearest; what is something is never nothing, nor what is not all all.
fn percentage(part: u64, all: u64) -> String {
    match (u128::from(part) * 200 / u128::from(all.max(1))).div_ceil(2) {
        _ if part == 0 => "0%".to_owned(),
        _ if part == all => "100%".to_owned(),
        _ if u128::from(part) * 200 < u128::from(all) => "<1%".to_owned(),
        hundredths => format!("{}%", hundredths.min(99)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_what_came_and_what_was_there() {
        let supplied = SuppliedBytes { neighbour_bytes: 97, registry_bytes: 3, ..SuppliedBytes::default() };
        assert_eq!(of(0, supplied), "neighbours 97%  edge 0%  registry 3%");
        assert_eq!(of(100, supplied), "neighbours 49%  edge 0%  registry 2%  here 50%");
        let with_machine = SuppliedBytes { machine_bytes: 100, ..supplied };
        assert_eq!(of(0, with_machine), "neighbours 49%  edge 0%  registry 2%  containerd 50%");
        assert_eq!(of(5, SuppliedBytes::default()), "here already");
        assert_eq!(of(0, SuppliedBytes::default()), "nothing came yet");
        assert_eq!([percentage(1, 1000), percentage(999, 1000), percentage(5, 1000)], ["<1%", "99%", "1%"]);
        assert_eq!(percentage(u64::MAX, u64::MAX), "100%");
    }
}
