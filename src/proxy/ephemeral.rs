//! The ports that the kernel chooses from for our own side of a connection.
//! It must not be asked for every connection's sake: the kernel is asked once.

use std::{fs, ops::RangeInclusive, sync::OnceLock};

/// Where the kernel has them (ip(7), `ip_local_port_range`).
const FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Whether the kernel may choose `port`: it did so when this was first asked. Where it does not
/// say, it may choose any.
pub(super) fn may_be_ours(port: u16) -> bool {
    static RANGE: OnceLock<RangeInclusive<u16>> = OnceLock::new();
    let read = || fs::read_to_string(FILE).ok().and_then(|text| range(&text));
    RANGE
        .get_or_init(|| read().unwrap_or(1..=u16::MAX))
        .contains(&port)
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_two_numbers() {
        assert_eq!(range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(range("1024 65535"), Some(1024..=65535));
        assert_eq!(range("32768"), None);
        assert_eq!(range("a b"), None);
    }

    #[test]
    fn a_port_that_the_kernel_chose_is_one_that_it_may_choose() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(may_be_ours(listener.local_addr().unwrap().port()));
    }
}
