//! What this machine is called in a registry's address.

/// Its names, as a URL has them.
const NAMES: [&str; 5] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"];

/// What follows this machine's name in an authority: nothing, or a colon and the port. `None` of any other machine, such as `127.0.0.2`,
/// where another registry may be.
pub fn port_here(authority: &str) -> Option<&str> {
    NAMES.iter().filter_map(|name| authority.strip_prefix(name)).find(|port| port.is_empty() || port.starts_with(':'))
}

/// Whether both are the same port of this machine.
pub fn is_same_port_here(one: &str, other: &str) -> bool {
    let port = |authority| port_here(authority).filter(|port| !port.is_empty());
    port(one).is_some_and(|one| port(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_several_names_and_others_have_none_of_them() {
        for here in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "0.0.0.0:5000", "[::]:5000"] {
            assert_eq!(port_here(here), Some(":5000"), "{here}");
            assert!(is_same_port_here(here, "localhost:5000") && !is_same_port_here(here, "localhost:5001"), "{here}");
        }
        assert_eq!((port_here("localhost"), port_here("[::1]")), (Some(""), Some("")));
        for elsewhere in ["127.0.0.2:5000", "localhost.example:5000", "registry.example", "::1", ""] {
            assert_eq!(port_here(elsewhere), None, "{elsewhere}");
            assert!(!is_same_port_here(elsewhere, elsewhere), "{elsewhere}");
        }
        assert!(!is_same_port_here("localhost", "localhost"), "no port is another with each scheme");
    }
}
