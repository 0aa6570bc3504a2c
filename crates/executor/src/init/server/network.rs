//! What listens in the network namespace.

use std::collections::BTreeSet;

use super::launch::infrastructure;
use crate::ExecutorError;

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// TCP ports on which something listens, in order.
pub(super) fn listening() -> Result<Vec<u16>, ExecutorError> {
    let four = std::fs::read_to_string("/proc/net/tcp")
        .map_err(|error| infrastructure("the open ports could not be listed", error))?;
    // Hosts may be without IPv6.
    let six = std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let found: BTreeSet<u16> = ports(&four).chain(ports(&six)).collect();
    Ok(found.into_iter().collect())
}

fn ports(table: &str) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let listens = fields.nth(1)? == LISTEN;
        listens
            .then(|| u16::from_str_radix(port, 16).ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
            0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000\n   \
            1: 0100007F:1539 0100007F:9C40 01 00000000:00000000 00:00000000\n";
        assert_eq!(ports(table).collect::<Vec<_>>(), [5432]);
    }
}
