//! Which addresses are this machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether an address is one of this machine's: to such a one the system speaks from that one itself. That something can be bound there
/// says less, since a system may let it be bound anywhere (`ip_nonlocal_bind`).
pub fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let speaks_from = || {
        // Nothing is sent by that. The port is any but none.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    address.is_loopback() || address.is_unspecified() || speaks_from().is_ok_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_s_addresses_are_its_own() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        // Where there is no way to anywhere it has none but these.
        let on_the_way = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
        let known = ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"].map(|address| address.parse().unwrap());
        for address in known.into_iter().chain(on_the_way.ok().map(|from| from.ip())) {
            assert!(is_own(address), "{address}");
        }
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(address.parse().unwrap()), "{address}");
        }
    }
}
