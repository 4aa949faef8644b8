//! From whom bytes came, in parts of a hundred.

use longshore_client::SuppliedBytes;

use crate::percentages::percentages;

/// `neighbours 97%  edge 0%  registry 3%`, with `containerd 20%` where some of it was in its store, and `here 20%` where some of it was
/// there before; `here already` where all of it was.
pub fn of(here_bytes: u64, supplied: SuppliedBytes) -> String {
    if supplied.sum() == 0 {
        return if here_bytes == 0 { "nothing came yet".to_owned() } else { "here already".to_owned() };
    }
    let SuppliedBytes { neighbour_bytes, edge_bytes, registry_bytes, machine_bytes } = supplied;
    let all = [neighbour_bytes, edge_bytes, registry_bytes, machine_bytes, here_bytes];
    let [neighbours, edge, registry, machine, here] = percentages(all);
    let machine = if machine_bytes > 0 { format!("  containerd {machine}") } else { String::new() };
    let here = if here_bytes > 0 { format!("  here {here}") } else { String::new() };
    format!("neighbours {neighbours}  edge {edge}  registry {registry}{machine}{here}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_what_came_and_what_was_there() {
        let supplied = SuppliedBytes { neighbour_bytes: 97, registry_bytes: 3, ..SuppliedBytes::default() };
        assert_eq!(of(0, supplied), "neighbours 97%  edge 0%  registry 3%");
        assert_eq!(of(100, supplied), "neighbours 49%  edge 0%  registry 1%  here 50%");
        let with_machine = SuppliedBytes { machine_bytes: 100, ..supplied };
        assert_eq!(of(0, with_machine), "neighbours 49%  edge 0%  registry 1%  containerd 50%");
        assert_eq!(of(5, SuppliedBytes::default()), "here already");
        assert_eq!(of(0, SuppliedBytes::default()), "nothing came yet");
    }
}
